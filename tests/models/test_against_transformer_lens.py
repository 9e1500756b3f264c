"""Every hook point against TransformerLens' own implementation on the same random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
import transformers

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint, Site
from saefari.models.text import TextModel

pytest.importorskip("transformer_lens", reason="TransformerLens comes with sae-lens")
pytestmark = pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated:DeprecationWarning")

LAYERS = 4
ROTARY = {
    "normalization_type": "RMS",
    "positional_embedding_type": "rotary",
    "rotary_adjacent_pairs": False,
    "rotary_dim": 8,
    "n_key_value_heads": 2,
    "final_rms": True,
    "gated_mlp": True,
}
GEMMA2 = ROTARY | {
    "act_fn": "gelu_pytorch_tanh",
    "eps": 1e-6,
    "use_normalization_before_and_after": True,
    "attn_scores_soft_cap": 0.5,
    "use_local_attn": True,
    "attn_types": ["local", "global"] * 2,
    "window_size": 4,
}
NEOX = {
    "act_fn": "gelu",
    "normalization_type": "LN",
    "positional_embedding_type": "rotary",
    "rotary_adjacent_pairs": False,
    "rotary_dim": 2,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "gpt2": {"act_fn": "gelu_new", "normalization_type": "LN", "d_mlp": 128},
    "llama": ROTARY | {"act_fn": "silu", "eps": 1e-6},
    "gemma2": GEMMA2,
    "pythia": NEOX | {"parallel_attn_mlp": True},
    "neox-sequential": NEOX,
}


def hooked_twin(kind: str, model: TextModel) -> Any:
    """A HookedTransformer with the weights of `model`, unprocessed."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained import weight_conversions

    settings = {"eps": 1e-5, "d_mlp": 48} | SETTINGS[kind]
    cfg = HookedTransformerConfig(
        n_layers=LAYERS,
        d_model=32,
        n_heads=4,
        d_head=8,
        n_ctx=64,
        d_vocab=40,
        device="cpu",
        seed=0,
        **settings,
    )
    convert = {
        "gpt2": weight_conversions.convert_gpt2_weights,
        "llama": weight_conversions.convert_llama_weights,
        "gemma2": weight_conversions.convert_gemma_weights,
        "pythia": weight_conversions.convert_neox_weights,
        "neox-sequential": weight_conversions.convert_neox_weights,
    }[kind]
    whole = transformers.AutoModelForCausalLM.from_config(model.model.config)
    whole.base_model.load_state_dict(model.model.state_dict())
    hooked = HookedTransformer(cfg)
    missing, unexpected = hooked.load_state_dict(convert(whole, cfg), strict=False)
    buffers = ("mask", "IGNORE", "rotary_sin", "rotary_cos", "b_U")
    assert not unexpected
    assert all(key.endswith(buffers) for key in missing), missing
    return hooked.eval()


def cached(hooked: Any, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """TransformerLens' activations by hook name, heads flattened, [n, d]."""
    with torch.no_grad():
        _, cache = hooked.run_with_cache(ids.long()[None])
    return {name: value[0].flatten(1) for name, value in cache.items()}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("site", get_args(Site))
def test_sites_agree(kind: str, site: Site, load_tiny: Callable[..., TextModel], texts: list[str]) -> None:
    model = load_tiny(kind)
    hooks = [HookPoint(layer, site) for layer in range(LAYERS)]
    ids = model.tokenize(texts[:1], 64)[0].input_ids
    if kind == "pythia" and site == "resid_mid":
        with pytest.raises(ModelError, match="no residual stream between"):
            model.capture([ids], hooks)
        return
    found = model.capture([ids], hooks)
    expected = cached(hooked_twin(kind, model), torch.from_numpy(ids))
    for hook in hooks:
        torch.testing.assert_close(found[hook][0], expected[hook.name], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["gpt2", "neox-sequential"])
def test_centred_weights_are_the_hidden_state_less_its_mean(
    kind: str, load_tiny: Callable[..., TextModel], texts: list[str]
) -> None:
    model = load_tiny(kind)
    hooked = hooked_twin(kind, model)
    hooked.load_and_process_state_dict(
        hooked.state_dict(),
        fold_ln=False,
        center_writing_weights=True,
        center_unembed=False,
        fold_value_biases=False,
    )
    hooks = [HookPoint(layer, site) for layer in range(LAYERS) for site in ("resid_pre", "resid_post", "mlp_out")]
    ids = model.tokenize(texts[:1], 64)[0].input_ids
    found, expected = model.capture([ids], hooks), cached(hooked, torch.from_numpy(ids))
    for hook in hooks:
        state = found[hook][0]
        torch.testing.assert_close(state - state.mean(-1, keepdim=True), expected[hook.name], rtol=1e-3, atol=1e-4)
