"""Reconstruction statistics against their definitions, and how they merge."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saefari.saes.encode import encode
from saefari.saes.load import LoadedSae
from saefari.saes.quality import Quality


def measure(loaded: LoadedSae, hidden: torch.Tensor) -> Quality:
    return Quality.measure(loaded, hidden, encode(loaded, hidden))


def test_figures_follow_their_definitions(any_sae: LoadedSae, hidden: torch.Tensor) -> None:
    codes = any_sae.sae.encode(hidden)
    rebuilt = any_sae.sae.decode(codes).double()
    x = hidden.double()
    fvu = float((x - rebuilt).square().sum() / (x - x.mean(0)).square().sum())
    summary = measure(any_sae, hidden).summary()
    assert summary["fvu"] == pytest.approx(fvu, rel=1e-5)
    assert summary["explained_variance"] == pytest.approx(1 - fvu, rel=1e-5)
    assert summary["l0"] == pytest.approx(float((codes > 0).sum(1).double().mean()))
    assert summary["dead_fraction"] == pytest.approx(float((codes <= 0).all(0).double().mean()))
    assert summary["n_positions"] == len(hidden)


def test_explained_variance_is_that_of_centred_states(make_sae: Any, hidden: torch.Tensor) -> None:
    loaded = make_sae("standard", center=True)
    plain = make_sae("standard")
    centred = hidden - hidden.mean(-1, keepdim=True)
    assert measure(loaded, hidden).summary()["fvu"] == pytest.approx(measure(plain, centred).summary()["fvu"])


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 61), max_size=6), order=st.randoms(use_true_random=False))
def test_merged_parts_equal_all_positions(make_sae: Any, cuts: list[int], order: Any) -> None:
    loaded = make_sae("jumprelu")
    hidden = torch.randn(61, loaded.d_in, generator=torch.Generator().manual_seed(1)) + 30
    edges = [0, *sorted(cuts), 61]
    parts = [measure(loaded, hidden[a:b]) for a, b in pairwise(edges)]
    order.shuffle(parts)
    merged, expected = reduce(Quality.merge, parts), measure(loaded, hidden)
    assert merged.summary() == pytest.approx(expected.summary(), rel=1e-6)
    np.testing.assert_array_equal(merged.counts, expected.counts)
    np.testing.assert_allclose(merged.mean, expected.mean)


def test_statistics_survive_storage(make_sae: Any, hidden: torch.Tensor) -> None:
    quality = measure(make_sae("standard"), hidden)
    arrays = quality.to_arrays()
    assert not any(array.dtype == object for array in arrays.values())
    again = Quality.from_arrays(arrays)
    assert again.summary() == quality.summary()
    assert again.merge(quality).n_positions == 2 * len(hidden)


def test_a_large_common_offset_does_not_distort_the_variance(make_sae: Any) -> None:
    loaded = make_sae("standard")
    hidden = torch.randn(200, loaded.d_in, generator=torch.Generator().manual_seed(1)) + 1000
    merged = measure(loaded, hidden[:50]).merge(measure(loaded, hidden[50:]))
    x = hidden.double()
    assert merged.scatter == pytest.approx(float((x - x.mean(0)).square().sum()), rel=1e-4)


def test_figures_without_positions_are_undefined(make_sae: Any) -> None:
    loaded = make_sae("standard")
    nothing = measure(loaded, torch.zeros(0, loaded.d_in))
    assert nothing.summary() == {
        "fvu": None,
        "explained_variance": None,
        "l0": None,
        "dead_fraction": None,
        "n_positions": 0,
    }
    assert nothing.merge(nothing).n_positions == 0
