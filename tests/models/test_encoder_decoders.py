"""Encoder-decoder models such as T5 and BART, of which only the encoder is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from saefari.errors import ModelError
from saefari.models.check_structure import check_hooks
from saefari.models.hooks import HookPoint
from saefari.models.language_head import LanguageModel, NoLanguageHead
from saefari.models.registry import describe
from saefari.models.text_model import TextModel
from tests.conftest import random_weights, tokenizer_of

LAYERS = 4
T5_SIZES = {
    "vocab_size": 40,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": LAYERS,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 6,  # small enough for a text of a dozen tokens to reach it
    "pad_token_id": 0,
    "eos_token_id": 2,
}
BART_SIZES = {
    "vocab_size": 40,
    "d_model": 32,
    "encoder_layers": LAYERS,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
GEMMA_SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "sliding_window": 4,
    "attn_logit_softcapping": 0.5,
    "pad_token_id": 0,
}
T5_KINDS = ["t5", "mt5", "umt5", "longt5"]
KINDS = [*T5_KINDS, "bart", "marian", "m2m_100", "t5gemma"]


def config_of(kind: str) -> Any:
    """Build a tiny configuration with decoder and encoder of different depth."""
    if kind == "t5gemma":
        encoder = transformers.T5GemmaModuleConfig(**GEMMA_SIZES)
        return transformers.T5GemmaConfig(encoder=encoder, decoder=transformers.T5GemmaModuleConfig(**GEMMA_SIZES))
    return transformers.AutoConfig.for_model(kind, **(T5_SIZES if kind in T5_KINDS else BART_SIZES))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """saved(kind): folder of a tiny model, and its encoder from transformers."""
    built: dict[str, tuple[Path, Any]] = {}

    def save(kind: str) -> tuple[Path, Any]:
        if kind not in built:
            folder = tmp_path_factory.mktemp("models") / f"tiny-{kind}"
            config = config_of(kind)
            if kind == "t5gemma":  # other kernels ignore the soft cap
                config._attn_implementation = "eager"
            full_model = random_weights(transformers.AutoModel.from_config(config))
            full_model.save_pretrained(folder)
            tokenizer_of("bert").save_pretrained(folder)
            built[kind] = folder, full_model.get_encoder()
        return built[kind]

    return save


@pytest.mark.parametrize("kind", KINDS)
def test_layer_l_is_the_output_of_block_l_of_the_encoder(
    kind: str, saved: Callable[[str], tuple[Path, Any]], texts: list[str]
) -> None:
    folder, encoder = saved(kind)
    info = describe(str(folder))
    assert (info.n_layers, info.d_model) == (LAYERS, 32)
    model = TextModel.load(str(folder), device="cpu")
    assert model.tokenizer.limit == 64
    hooks = [HookPoint(layer, site) for layer in range(LAYERS) for site in ("resid_pre", "resid_post")]
    tokens = model.tokenizer.tokenize(texts, 64)
    found = model.capture([t.input_ids for t in tokens], hooks)  # of different lengths, so that there is padding
    for row, token in enumerate(tokens):
        ids, n = torch.from_numpy(token.input_ids).long()[None], len(token.input_ids)
        with torch.no_grad():
            states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
        for layer in range(LAYERS):
            before = found[HookPoint(layer, "resid_pre")][row, :n]
            torch.testing.assert_close(before, states.hidden_states[layer][0], rtol=1e-4, atol=1e-5)
        after = found[HookPoint(LAYERS - 1, "resid_post")][row, :n]
        norm = next((getattr(encoder, name) for name in ("final_layer_norm", "norm") if hasattr(encoder, name)), None)
        norm = norm or (encoder.layer_norm if kind == "m2m_100" else torch.nn.Identity())
        with torch.no_grad():
            torch.testing.assert_close(norm(after), states.last_hidden_state[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", T5_KINDS)
def test_a_checkpoint_of_the_encoder_alone_gives_the_same_states(
    kind: str, saved: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    folder, _ = saved(kind)
    full_model = TextModel.load(str(folder), device="cpu")
    name = type(transformers.AutoModel.from_pretrained(folder)).__name__.replace("Model", "EncoderModel")
    getattr(transformers, name).from_pretrained(folder).save_pretrained(tmp_path / "alone")
    tokenizer_of("bert").save_pretrained(tmp_path / "alone")
    alone = TextModel.load(str(tmp_path / "alone"), device="cpu")
    ids, hook = [full_model.tokenizer.tokenize(["the big cat sat"], 64)[0].input_ids], HookPoint(3, "resid_post")
    torch.testing.assert_close(alone.capture(ids, [hook])[hook], full_model.capture(ids, [hook])[hook])


def test_missing_encoder_weights_are_an_error(saved: Callable[[str], tuple[Path, Any]], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder, _ = saved("t5")
    (tmp_path / "cut").mkdir()
    for file in folder.glob("*.json"):
        (tmp_path / "cut" / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.block.2.layer.1.DenseReluDense.wi.weight"]
    save_file(weights, tmp_path / "cut" / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 weights, such as 'encoder\.block\.2"):
        TextModel.load(str(tmp_path / "cut"), device="cpu")


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_predicts_no_next_token(kind: str, saved: Callable[[str], tuple[Path, Any]]) -> None:
    with pytest.raises(NoLanguageHead, match="is an encoder"):
        LanguageModel.of(TextModel.load(str(saved(kind)[0]), device="cpu"))


def test_unsupported_hook_points_are_found_without_weights(
    tmp_path: Path, saved: Callable[[str], tuple[Path, Any]]
) -> None:
    sizes = {"embedding_size": 8, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.AlbertConfig(vocab_size=20, **sizes).save_pretrained(tmp_path / "albert")
    transformers.WhisperConfig().save_pretrained(tmp_path / "whisper")
    for name, message in (("albert", "no list of 12 transformer blocks"), ("whisper", "input_features, not texts")):
        with pytest.raises(ModelError, match=message):
            check_hooks(str(tmp_path / name), None, "llm", [])
    t5 = str(saved("t5")[0])
    check_hooks(t5, None, "llm", [HookPoint(1, "resid_post")])
    with pytest.raises(ModelError, match=r"hook_mlp_out: found no attention in T5Block"):
        check_hooks(t5, None, "llm", [HookPoint(1, "mlp_out")])
    check_hooks(str(saved("bart")[0]), None, "llm", [HookPoint(1, "mlp_out"), HookPoint(3, "attn_z")])
