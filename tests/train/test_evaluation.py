"""The figures of quality.json against their definitions, in blocks and over all positions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from saefari.saes.load import LoadedSae
from saefari.train import quality
from saefari.train.quality import evaluate

from ..saes.conftest import D_IN, D_SAE, VARIANTS, build


def states(n: int = 300) -> torch.Tensor:
    """Hidden states [n, d_in] with a mean and unequal norms."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, D_IN, generator=generator) * (torch.rand(n, 1, generator=generator) * 4 + 0.5) + 0.7


def expected(loaded: LoadedSae, hidden: torch.Tensor) -> dict[str, float]:
    """Compute the figures by definition, dense, in float64, with the SAE's own encode and decode."""
    x32 = hidden - hidden.mean(-1, keepdim=True) if loaded.center else hidden
    codes = loaded.sae.encode(x32)
    x, rebuilt, codes = x32.double(), loaded.sae.decode(codes).double(), codes.double()
    fvu = (x - rebuilt).square().sum() / (x - x.mean(0)).square().sum()
    share = (codes > 0).double().mean(0)
    figures = {
        "fvu": fvu,
        "explained_variance": 1 - fvu,
        "mse": (x - rebuilt).square().mean(),
        "l0": (codes > 0).sum(1).double().mean(),
        "l1": codes.sum(1).mean(),
        "dead_fraction": (share == 0).double().mean(),
        "dense_fraction": (share > 0.1).double().mean(),
        "cosine": cosine_similarity(x, rebuilt).mean(),
    }
    return {name: float(value) for name, value in figures.items()} | {"n_positions": len(hidden)}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("center", [False, True])
def test_figures_follow_their_definitions(variant: dict[str, Any], center: bool) -> None:
    loaded = build(**variant, center=center)
    summary = evaluate(loaded, [states()]).summary()
    del summary["ultra_low_density"]
    assert summary == pytest.approx(expected(loaded, states()), rel=1e-4)


@given(st.lists(st.integers(0, 300), max_size=5))
def test_results_do_not_depend_on_blocks(cuts: Sequence[int]) -> None:
    loaded, hidden = build("jumprelu"), states()
    blocks = [hidden[a:b] for a, b in pairwise([0, *sorted(cuts), 300])]
    at_once, parts = evaluate(loaded, [hidden]), evaluate(loaded, blocks)
    ultra = parts.summary().pop("ultra_low_density")
    assert ultra == at_once.summary().pop("ultra_low_density")
    numbers = [{k: v for k, v in e.summary().items() if k != "ultra_low_density"} for e in (parts, at_once)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-5)
    np.testing.assert_array_equal(parts.counts, at_once.counts)


def test_a_block_of_any_size_is_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, hidden = build("standard"), states()
    at_once = evaluate(loaded, [hidden]).summary()
    seen: list[int] = []
    encode = quality.encode
    monkeypatch.setattr(quality, "encode", lambda sae, part: seen.append(len(part)) or encode(sae, part))
    monkeypatch.setattr(quality, "BLOCK_POSITIONS", 128)
    assert evaluate(loaded, iter([hidden])).summary()["cosine"] == pytest.approx(at_once["cosine"])
    assert max(seen) == 128


def test_counts_and_densities() -> None:
    loaded, hidden = build("jumprelu"), states()
    evaluation = evaluate(loaded, [hidden])
    active = (loaded.sae.encode(hidden) > 0).sum(0).numpy()
    assert evaluation.counts.dtype == np.int64
    np.testing.assert_array_equal(evaluation.counts, active)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(evaluation.log10_density, np.log10(active / 300), rtol=1e-6)


def test_rare_latents_are_counted() -> None:
    """Half of the latents are active on one input in a thousand, the others on every second one."""
    loaded = build("standard", d_in=40, apply_b_dec_to_input=False)
    for tensor in loaded.sae.state_dict().values():
        tensor.zero_()
    loaded.sae.W_enc.copy_(torch.eye(D_SAE))
    positions = torch.arange(10_000)[:, None]
    rare = positions % 1000 == torch.arange(20)
    hidden = torch.cat([rare, (positions + torch.arange(20)) % 2 == 0], dim=1).float()
    low_density = evaluate(loaded, [hidden]).summary()["ultra_low_density"]
    assert low_density == {"share": 0.5, "gap": [pytest.approx(-3), pytest.approx(np.log10(0.5))]}


def test_figures_without_positions_are_undefined() -> None:
    summary = evaluate(build("standard"), []).summary()
    assert summary.pop("n_positions") == 0
    assert summary.pop("ultra_low_density") == {"share": 0.0, "gap": None}
    assert set(summary.values()) == {None}


def test_figures_are_json() -> None:
    json.dumps(evaluate(build("topk"), [states()]).summary(), allow_nan=False)
