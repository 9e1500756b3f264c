"""TopK SAEs, encoded by the indices of `torch.topk`, against the dense `encode` of sae-lens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saefari.saes import encode as encode_module
from saefari.saes.encode import encode
from saefari.saes.load import LoadedSae

from .conftest import D_IN, D_SAE, build

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rescaled": {"rescale_acts_by_decoder_norm": True},
    "no-input-bias": {"apply_b_dec_to_input": False},
    "layer-norm": {"normalize_activations": "layer_norm"},
    "constant-norm-rescaled": {
        "normalize_activations": "constant_norm_rescale",
        "rescale_acts_by_decoder_norm": True,
    },
    "every-latent": {"k": D_SAE},
    "one-latent": {"k": 1},
}


def assert_equal_to_own(loaded: LoadedSae, hidden: torch.Tensor) -> None:
    """Check support and values against the SAE's own dense encoding."""
    found = encode(loaded, hidden)
    dense = loaded.sae.encode(hidden).numpy()
    np.testing.assert_array_equal(found.to_csr().toarray(), dense)
    assert (found.values > 0).all()
    for start, end in zip(found.indptr, found.indptr[1:], strict=False):
        assert (np.diff(found.indices[start:end]) > 0).all()


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_codes_equal_the_saes_own_encode(hidden: torch.Tensor, config: dict[str, Any]) -> None:
    assert_equal_to_own(build("topk", **config), hidden)


@pytest.mark.parametrize("k", [3, 7, D_SAE // 2, D_SAE])
@pytest.mark.parametrize("rescaled", [False, True])
def test_ties_are_broken_as_by_the_saes_own_encode(k: int, rescaled: bool) -> None:
    """Integer weights give many equal pre-activations."""
    loaded = build("topk", k=k, rescale_acts_by_decoder_norm=rescaled)
    generator = torch.Generator().manual_seed(1)
    loaded.sae.W_enc.copy_(torch.randint(-1, 2, (D_IN, D_SAE), generator=generator))
    for bias in (loaded.sae.b_enc, loaded.sae.b_dec):
        bias.zero_()
    loaded.sae.W_dec.fill_(1.0)
    assert_equal_to_own(loaded, torch.randint(-2, 3, (200, D_IN), generator=generator).float())


def test_ties_in_a_wide_row_are_broken_as_by_the_saes_own_encode() -> None:
    loaded = build("topk", k=5, d_in=2, d_sae=4096)
    loaded.sae.W_enc.copy_(torch.arange(4096).remainder(7).float().expand(2, -1))
    loaded.sae.b_enc.zero_()
    assert_equal_to_own(loaded, torch.rand(20, 2, generator=torch.Generator().manual_seed(0)))


def test_fewer_than_k_positive_latents(hidden: torch.Tensor) -> None:
    loaded = build("topk", k=10)
    loaded.sae.b_enc -= 3.0
    counts = np.diff(encode(loaded, hidden).indptr)
    assert counts.min() < 10
    assert_equal_to_own(loaded, hidden)
    loaded.sae.b_enc -= 1000.0
    assert np.diff(encode(loaded, hidden).indptr).sum() == 0


def test_k_beyond_the_latents_keeps_every_positive_one(hidden: torch.Tensor) -> None:
    """The own `encode` of such an SAE raises an error."""
    codes = encode(build("topk", k=D_SAE + 5), hidden)
    every = build("topk", k=D_SAE).sae.encode(hidden).numpy()
    np.testing.assert_array_equal(codes.to_csr().toarray(), every)


def test_no_dense_block_is_searched(hidden: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = build("topk")
    monkeypatch.setattr(encode_module, "_nonzero", lambda mask: pytest.fail("a dense mask is searched"))
    assert encode(loaded, hidden).indptr[-1] > 0


@given(st.integers(1, D_SAE), st.integers(0, 30), st.integers(0, 2**31), st.booleans())
def test_codes_for_any_k_and_any_states(k: int, n: int, seed: int, rescaled: bool) -> None:
    loaded = build("topk", k=k, rescale_acts_by_decoder_norm=rescaled)
    generator = torch.Generator().manual_seed(seed)
    assert_equal_to_own(loaded, torch.randn(n, D_IN, generator=generator).round(decimals=1))
