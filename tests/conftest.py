"""Fixtures shared by all tests: offline mode, tiny models and SAEs, and real datasets if they are available."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Read by the hub client on import.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, models, pre_tokenizers, processors

# No deadlines: timings on shared machines are noisy.
settings.register_profile("saefari", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("saefari")


ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, run all browser tests in one worker: they share an output tree and a browser."""
    from xdist.scheduler import LoadFileScheduling

    class BrowserTogether(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "browser" if "/browser/" in nodeid else super()._split_scope(nodeid)

    return BrowserTogether(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real datasets (banking77, tweet sentiment …) beside the checkout; skips if it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real datasets are not beside this checkout")
    return folder


WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "under",
    "mat",
    "tree",
    "river",
    "slowly",
    "it",
    "was",
    "big",
]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = SIZES | {"num_key_value_heads": 2, "head_dim": 8, "attention_dropout": 0.0}


def config_of(kind: str) -> Any:
    """Return a tiny configuration of one architecture."""
    t = transformers
    if kind == "gpt2":
        return t.GPT2Config(
            vocab_size=40,
            n_embd=32,
            n_layer=4,
            n_head=4,
            n_positions=64,
            n_ctx=64,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    if kind == "bert":
        return t.BertConfig(**SIZES)
    if kind == "roberta":
        return t.RobertaConfig(**SIZES)
    if kind == "pythia":
        return t.GPTNeoXConfig(**SIZES, rotary_pct=0.25)
    if kind == "neox-sequential":
        return t.GPTNeoXConfig(**SIZES, rotary_pct=0.25, use_parallel_residual=False)
    if kind in ("gemma2", "gemma3"):
        # Caps and windows small enough to have an effect on a dozen tokens.
        extra = {"sliding_window": 4, "query_pre_attn_scalar": 8}
        if kind == "gemma2":
            extra |= {"attn_logit_softcapping": 0.5, "final_logit_softcapping": 30.0}
        return {"gemma2": t.Gemma2Config, "gemma3": t.Gemma3TextConfig}[kind](**GROUPED, **extra)
    classes = {
        "llama": t.LlamaConfig,
        "mistral": t.MistralConfig,
        "qwen2": t.Qwen2Config,
        "qwen3": t.Qwen3Config,
        "gemma": t.GemmaConfig,
    }
    return classes[kind](**GROUPED)


DECODERS = [
    "gpt2",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "pythia",
    "neox-sequential",
]
ENCODERS = ["bert", "roberta"]
KINDS = DECODERS + ENCODERS


def random_weights(model: Any, seed: int = 0) -> Any:
    """Draw all parameters at random, including norms and biases, so that omitting one changes the output."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def tokenizer_of(kind: str, padding_side: str = "right") -> Any:
    """Return a word-level tokenizer. Decoders add <s>, encoders <s> and </s>, GPT-2 and Pythia nothing."""
    vocabulary = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if kind not in ("gpt2", "pythia", "neox-sequential"):
        template = "<s> $A </s>" if kind in ENCODERS else "<s> $A"
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side=padding_side,
        model_max_length=64,
    )


@pytest.fixture(scope="session")
def save_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """save_tiny(kind, padding_side="right") -> folder of a tiny model, saved once per session."""
    saved: dict[tuple[str, str], Path] = {}

    def save(kind: str, padding_side: str = "right") -> Path:
        if (kind, padding_side) not in saved:
            folder = tmp_path_factory.mktemp("models") / f"tiny-{kind}"
            random_weights(transformers.AutoModel.from_config(config_of(kind))).save_pretrained(folder)
            tokenizer_of(kind, padding_side).save_pretrained(folder)
            saved[kind, padding_side] = folder
        return saved[kind, padding_side]

    return save


@pytest.fixture(scope="session")
def load_tiny(save_tiny: Callable[..., Path]) -> Callable[..., Any]:
    """load_tiny(kind, padding_side="right") -> TextModel in float32 on the CPU."""

    from saefari.models.text_model import TextModel

    def load(kind: str, padding_side: str = "right") -> Any:
        return TextModel.load(str(save_tiny(kind, padding_side)), device="cpu")

    return load


@pytest.fixture(scope="session")
def load_tiny_language(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """load_tiny_language(kind, tied=None) -> LanguageModel of a checkpoint saved with its head.

    tied: whether head and embedding share weights; None = default of the kind.
    """
    from saefari.models.language_head import LanguageModel
    from saefari.models.text_model import TextModel

    loaded: dict[tuple[str, bool | None], Any] = {}

    def load(kind: str, tied: bool | None = None) -> Any:
        if (kind, tied) not in loaded:
            folder = tmp_path_factory.mktemp("models") / f"tiny-{kind}"
            config = config_of(kind)
            config.tie_word_embeddings = config.tie_word_embeddings if tied is None else tied
            random_weights(transformers.AutoModelForCausalLM.from_config(config)).save_pretrained(folder)
            tokenizer_of(kind).save_pretrained(folder)
            loaded[kind, tied] = LanguageModel.of(TextModel.load(str(folder), device="cpu"))
        return loaded[kind, tied]

    return load


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def texts() -> list[str]:
    """Texts of 12, 1, 5 and 0 words."""
    return ["the big cat sat on a mat and then it ran slowly", "river", "it was under the tree", ""]


@pytest.fixture(scope="session")
def write_texts() -> Callable[..., list[str]]:
    """write_texts(path, n_rows, seed=0, longest=14) writes a JSONL file and returns its texts."""
    return _write_texts


@pytest.fixture(scope="session")
def save_sae() -> Callable[..., Any]:
    """save_sae(folder, hook, d_in, d_sae=64, architecture="jumprelu") saves a random SAE and returns it."""
    return _save_sae


def _write_texts(path: Path, n_rows: int, seed: int = 0, longest: int = 14) -> list[str]:
    """Write random texts of 0 to `longest` words; label = parity of the first word's index in WORDS."""
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(WORDS, generator.integers(0, longest + 1))) for _ in range(n_rows)]
    lines = []
    for text in texts:
        label = "odd" if text and WORDS.index(text.split()[0]) % 2 else "even"
        lines.append(json.dumps({"text": text, "label": label}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return texts


def _save_sae(
    folder: Path, hook: str, d_in: int, d_sae: int = 64, architecture: str = "jumprelu", **config: Any
) -> Any:
    """Save a random SAE in SAELens format; return the sae-lens object."""
    from sae_lens.registry import get_sae_class
    from sae_lens.saes.sae import SAEMetadata

    sae_class, config_class = get_sae_class(architecture)
    metadata = SAEMetadata(hook_name=hook, **config.pop("metadata", {}))
    sae = sae_class(config_class(d_in=d_in, d_sae=d_sae, metadata=metadata, **config))
    generator = torch.Generator().manual_seed(d_sae)
    with torch.no_grad():
        for name, tensor in sae.state_dict().items():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
            if name == "threshold":
                tensor.abs_()
    sae.save_model(str(folder))
    return sae.eval()
