"""Tiny random SAEs of every architecture, as sae-lens builds them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from saefari.models.hooks import HookPoint
from saefari.saes.load import LoadedSae
from saefari.saes.ref import SaeRef

D_IN, D_SAE = 12, 40

MakeSae = Callable[..., LoadedSae]


def build(architecture: str, center: bool = False, d_in: int = D_IN, d_sae: int = D_SAE, **config: Any) -> LoadedSae:
    """Build a random SAE with non-trivial biases, thresholds and decoder norms."""
    from sae_lens.registry import get_sae_class

    sae_class, config_class = get_sae_class(architecture)
    generator = torch.Generator().manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if architecture == "topk":
            config.setdefault("k", 5)
        sae: Any = sae_class(config_class(d_in=d_in, d_sae=d_sae, **config))
    for name, tensor in sae.state_dict().items():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
        if name == "threshold":
            tensor.abs_()
            tensor[::4] *= -1
    sae.eval().requires_grad_(False)
    ref = SaeRef(layer=1, width=str(d_sae), path="sae")
    return LoadedSae(ref=ref, sae=sae, hook=HookPoint(1, "resid_post"), center=center)


@pytest.fixture(scope="session")
def make_sae() -> MakeSae:
    return build


VARIANTS: dict[str, dict[str, Any]] = {
    "standard": {"architecture": "standard"},
    "standard-no-input-bias": {"architecture": "standard", "apply_b_dec_to_input": False},
    "standard-layer-norm": {"architecture": "standard", "normalize_activations": "layer_norm"},
    "gated": {"architecture": "gated"},
    "gated-constant-norm": {"architecture": "gated", "normalize_activations": "constant_norm_rescale"},
    "jumprelu": {"architecture": "jumprelu"},
    "jumprelu-layer-norm": {"architecture": "jumprelu", "normalize_activations": "layer_norm"},
    "jumprelu-constant-norm": {"architecture": "jumprelu", "normalize_activations": "constant_norm_rescale"},
    "topk": {"architecture": "topk"},
    "topk-rescaled": {"architecture": "topk", "rescale_acts_by_decoder_norm": True},
    "topk-layer-norm": {"architecture": "topk", "normalize_activations": "layer_norm"},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def any_sae(request: pytest.FixtureRequest) -> LoadedSae:
    """Each architecture with each input normalisation."""
    return build(**request.param)


@pytest.fixture
def hidden() -> torch.Tensor:
    """[n, d_in] hidden states with a mean and unequal norms."""
    generator = torch.Generator().manual_seed(3)
    scale = torch.rand(61, 1, generator=generator) * 4 + 0.5
    return torch.randn(61, D_IN, generator=generator) * scale + 0.7
