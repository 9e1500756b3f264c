"""Hidden states against Hugging Face, for any batch and padding side of the tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from saefari.models.hooks import HookPoint, find_blocks
from saefari.models.text_model import TextModel

LAYERS = 4


def reference(model: TextModel, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return hidden_states of one unpadded text [n], each [n, d_model]."""
    with torch.no_grad():
        states = model.model(input_ids=ids.long()[None], output_hidden_states=True).hidden_states
    return tuple(state[0] for state in states)


def final_norm(model: TextModel) -> torch.nn.Module:
    """Return a decoder's final norm; the identity for an encoder."""
    for name in ("ln_f", "norm", "final_layer_norm"):
        if hasattr(model.model, name):
            return getattr(model.model, name)
    return torch.nn.Identity()


def test_layer_l_is_the_output_of_block_l(kind: str, load_tiny: Callable[..., TextModel], texts: list[str]) -> None:
    model = load_tiny(kind)
    hooks = [HookPoint(layer, site) for layer in range(LAYERS) for site in ("resid_pre", "resid_post")]
    tokens = model.tokenizer.tokenize(texts[:3], 64, include_special_tokens=False)
    found = model.capture([t.input_ids for t in tokens], hooks)
    assert set(found) == set(hooks)
    for row, token in enumerate(tokens):
        n = len(token.input_ids)
        states = reference(model, torch.from_numpy(token.input_ids))
        for layer in range(LAYERS):
            torch.testing.assert_close(found[HookPoint(layer, "resid_pre")][row, :n], states[layer])
            after = found[HookPoint(layer, "resid_post")][row, :n]
            expected = states[layer + 1]
            if layer == LAYERS - 1:
                after = final_norm(model)(after)
            torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_a_batch_equals_single_texts(
    kind: str, padding_side: str, load_tiny: Callable[..., TextModel], texts: list[str]
) -> None:
    model = load_tiny(kind, padding_side)
    assert model.tokenizer.tokenizer.padding_side == padding_side
    hooks = [HookPoint(3, "resid_post"), HookPoint(1, "attn_z"), HookPoint(2, "mlp_out")]
    ids = [t.input_ids for t in model.tokenizer.tokenize(texts, 64)]
    together = model.capture(ids, hooks)
    for row, one in enumerate(ids):
        alone = model.capture([one], hooks)
        for hook in hooks:
            torch.testing.assert_close(
                together[hook][row, : len(one)], alone[hook][0, : len(one)], rtol=1e-4, atol=1e-5
            )


def test_gemma2_keeps_its_soft_cap(load_tiny: Callable[..., TextModel], texts: list[str]) -> None:
    model = load_tiny("gemma2")
    ids = [model.tokenizer.tokenize(texts[:1], 64)[0].input_ids]
    hook = HookPoint(3, "resid_post")
    capped = model.capture(ids, [hook])[hook].clone()
    for block in model.model.layers:
        block.self_attn.attn_logit_softcapping = None
    assert not torch.allclose(capped, model.capture(ids, [hook])[hook], atol=1e-3)


def test_blocks_are_found_in_a_multimodal_model() -> None:
    from transformers import AutoModel, Gemma3Config

    text = {
        "vocab_size": 40,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 64,
    }
    vision = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 28,
        "patch_size": 14,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    model = AutoModel.from_config(config)
    assert find_blocks(model) is model.language_model.layers
