"""Tiny models with random weights, saved to disk and loaded the way a user's own would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from saefari.models.text import TextModel

WORDS = (
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
)
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
    """A tiny configuration of one architecture."""
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
        # Caps and windows small enough to matter in a text of a dozen tokens.
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
    """Every parameter drawn anew, norms and biases too, so that leaving one out shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def tokenizer_of(kind: str, padding_side: str = "right") -> Any:
    """Whole words; a decoder begins with <s>, an encoder also ends with </s>, GPT-2 and Pythia add nothing."""
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
    """save_tiny(kind, padding_side="right") -> folder of a tiny model, made once."""
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
def load_tiny(save_tiny: Callable[..., Path]) -> Callable[..., TextModel]:
    """load_tiny(kind, padding_side="right") -> TextModel in float32 on the CPU."""

    def load(kind: str, padding_side: str = "right") -> TextModel:
        return TextModel.load(str(save_tiny(kind, padding_side)), device="cpu")

    return load


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def texts() -> list[str]:
    """Lengths 12, 1, 5 and 0 words."""
    return ["the big cat sat on a mat and then it ran slowly", "river", "it was under the tree", ""]
