"""Every hook point against TransformerLens on the same random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
import transformers

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint, Site, splice
from saefari.models.text_model import TextModel

from .lens import LAYERS, SETTINGS, hooked_twin

pytest.importorskip("transformer_lens", reason="TransformerLens comes with sae-lens")
pytestmark = pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated:DeprecationWarning")


def twin(kind: str, model: TextModel) -> Any:
    """Build a HookedTransformer with the blocks of `model` and an arbitrary head."""
    full_model = transformers.AutoModelForCausalLM.from_config(model.model.config)
    full_model.base_model.load_state_dict(model.model.state_dict())
    return hooked_twin(kind, full_model)


def cached(hooked: Any, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return TransformerLens' activations by hook name, heads flattened, [n, d]."""
    with torch.no_grad():
        _, cache = hooked.run_with_cache(ids.long()[None])
    return {name: value[0].flatten(1) for name, value in cache.items()}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("site", get_args(Site))
def test_sites_agree(kind: str, site: Site, load_tiny: Callable[..., TextModel], texts: list[str]) -> None:
    model = load_tiny(kind)
    hooks = [HookPoint(layer, site) for layer in range(LAYERS)]
    ids = model.tokenizer.tokenize(texts[:1], 64)[0].input_ids
    if kind == "pythia" and site == "resid_mid":
        with pytest.raises(ModelError, match="no residual stream between"):
            model.capture([ids], hooks)
        return
    found = model.capture([ids], hooks)
    expected = cached(twin(kind, model), torch.from_numpy(ids))
    for hook in hooks:
        torch.testing.assert_close(found[hook][0], expected[hook.name], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["gpt2", "neox-sequential"])
def test_centred_weights_give_the_mean_free_hidden_state(
    kind: str, load_tiny: Callable[..., TextModel], texts: list[str]
) -> None:
    model = load_tiny(kind)
    hooked = twin(kind, model)
    hooked.load_and_process_state_dict(
        hooked.state_dict(),
        fold_ln=False,
        center_writing_weights=True,
        center_unembed=False,
        fold_value_biases=False,
    )
    hooks = [HookPoint(layer, site) for layer in range(LAYERS) for site in ("resid_pre", "resid_post", "mlp_out")]
    ids = model.tokenizer.tokenize(texts[:1], 64)[0].input_ids
    found, expected = model.capture([ids], hooks), cached(hooked, torch.from_numpy(ids))
    for hook in hooks:
        state = found[hook][0]
        torch.testing.assert_close(state - state.mean(-1, keepdim=True), expected[hook.name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("site", [site for site in get_args(Site) if site != "resid_mid"])
def test_replaced_sites_agree(kind: str, site: Site, load_tiny: Callable[..., TextModel], texts: list[str]) -> None:
    """Compare the last block's output after a tensor is replaced."""
    model = load_tiny(kind)
    hooked, ids = twin(kind, model), torch.from_numpy(model.tokenizer.tokenize(texts[:1], 64)[0].input_ids).long()[None]
    hook, last = HookPoint(1, site), HookPoint(LAYERS - 1, "resid_post")
    other = torch.randn(1, ids.shape[1], 32, generator=torch.Generator().manual_seed(0))
    with splice(model.model, hook, lambda tensor: tensor + other):
        found = model.capture([ids[0].numpy()], [last])[last]
    seen: list[torch.Tensor] = []
    with torch.no_grad():
        hooked.run_with_hooks(
            ids,
            fwd_hooks=[
                (hook.name, lambda tensor, hook: tensor + other.view_as(tensor)),
                (last.name, lambda tensor, hook: seen.append(tensor)),
            ],
        )
    torch.testing.assert_close(found, seen[0], rtol=5e-4, atol=5e-5)
