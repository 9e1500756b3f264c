"""The ultra-low-density cluster is found if and only if there is a gap, at any scale."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.store.trained_saes import log10_density
from saefari.train.density import find_cluster

NONE = {"share": 0.0, "gap": None}


def two_clusters(n_low: int, n_high: int, n_dead: int = 0, seed: int = 0) -> np.ndarray:
    """Draw log10 densities around -5 and -2."""
    generator = np.random.default_rng(seed)
    parts = generator.normal(-5, 0.2, n_low), generator.normal(-2, 0.3, n_high), np.full(n_dead, -np.inf)
    values = np.concatenate(parts)
    generator.shuffle(values)
    return values


def drawn(log_rates: np.ndarray, n_positions: int, seed: int = 0) -> np.ndarray:
    """Draw densities counted at `n_positions` for latents with these true rates."""
    return log10_density(np.random.default_rng(seed).binomial(n_positions, 10**log_rates), n_positions)


def test_densities_are_shares_of_the_positions() -> None:
    density = log10_density(np.array([0, 1, 10, 1000]), 1000)
    assert density.dtype == np.float32
    assert density.tolist() == [-math.inf, -3, -2, 0]
    assert log10_density(np.zeros(2, np.int64), 0).tolist() == [-math.inf] * 2


@given(st.integers(15, 400), st.integers(60, 2000), st.integers(0, 500), st.integers(0, 99))
def test_two_clusters(n_low: int, n_high: int, n_dead: int, seed: int) -> None:
    values = two_clusters(n_low, n_high, n_dead, seed)
    cluster = find_cluster(values)
    assert cluster.share == n_low / len(values), "the share is of all latents, dead ones too"
    assert cluster.gap == (values[(values < -3.5) & np.isfinite(values)].max(), values[values > -3.5].min())


@pytest.mark.parametrize("n_positions", [10**6, 10**7, 10**8])
def test_two_clusters_of_counted_densities(n_positions: int) -> None:
    rates = two_clusters(300, 2700)
    found = drawn(rates, n_positions)
    cluster = find_cluster(found)
    assert cluster.share == pytest.approx(np.isfinite(found[rates < -3.5]).sum() / 3000)
    assert json.loads(json.dumps(cluster.summary()))["gap"] == [
        pytest.approx(-4.3, abs=0.5),
        pytest.approx(-3, abs=0.5),
    ]


@given(st.floats(-6, 6), st.integers(0, 300), st.integers(0, 99))
def test_only_differences_of_log_densities_matter(shift: float, n_low: int, seed: int) -> None:
    values = two_clusters(n_low, 600, 50, seed)
    plain, shifted = find_cluster(values), find_cluster(values + shift)
    assert shifted.share == plain.share
    assert (shifted.gap is None) == (plain.gap is None)
    if plain.gap and shifted.gap:
        assert shifted.gap == pytest.approx([edge + shift for edge in plain.gap])


@given(
    st.sampled_from(["normal", "uniform", "laplace"]), st.floats(0.01, 1.5), st.integers(1, 4000), st.integers(0, 99)
)
def test_one_cluster_has_no_gap(shape: str, spread: float, size: int, seed: int) -> None:
    values = getattr(np.random.default_rng(seed), shape)(-3, spread, size)
    assert find_cluster(values).summary() == NONE


@given(st.floats(-6, -2), st.floats(0.05, 1.2), st.integers(10, 4000), st.integers(0, 99))
def test_low_counts_make_no_gap(center: float, spread: float, size: int, seed: int) -> None:
    """Counts of 1, 2, 3 are 0.3 and 0.18 decades apart."""
    rates = np.minimum(np.random.default_rng(seed).normal(center, spread, size), 0)
    assert find_cluster(drawn(rates, 32_768, seed)).summary() == NONE


def test_equal_counts_of_one_and_two() -> None:
    assert find_cluster(log10_density(np.repeat([1, 2], 500), 32_768)).summary() == NONE


@pytest.mark.parametrize(
    "values", [[], [-np.inf] * 5, [-3.0], [-3.0, -np.inf], [-3.0] * 100, [-5.0, -2.0], [-5.0, *[-2.0] * 7]]
)
def test_too_few_values_have_no_gap(values: list[float]) -> None:
    assert find_cluster(np.array(values, dtype=np.float32)).summary() == NONE


def test_a_few_stray_latents_are_no_cluster() -> None:
    assert find_cluster(two_clusters(3, 3000)).summary() == NONE


def test_a_small_group_of_dense_latents_does_not_make_the_others_a_cluster() -> None:
    generator = np.random.default_rng(0)
    ordinary, dense = generator.normal(-3, 0.3, 2850), generator.normal(-0.3, 0.05, 150)
    assert find_cluster(np.concatenate([ordinary, dense])).summary() == NONE
    rare = generator.normal(-5.5, 0.2, 1000)
    cluster = find_cluster(np.concatenate([ordinary, dense, rare]))
    assert cluster.share == 0.25
    assert cluster.gap is not None
    assert cluster.gap[1] < -3


def test_most_latents_may_be_in_the_cluster() -> None:
    assert find_cluster(two_clusters(2000, 1000)).share == pytest.approx(2 / 3)


def clusters(*centers: float, spread: float = 0.4, size: int = 4000) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(center, spread, size) for center in centers])


def test_a_shallow_valley_is_no_gap() -> None:
    assert find_cluster(clusters(-4.2, -2.9)).summary() == NONE
    assert find_cluster(clusters(-4.8, -2.9)).share == pytest.approx(0.5, abs=0.02)


def test_the_deepest_of_several_valleys_is_the_gap() -> None:
    cluster = find_cluster(clusters(-7, -5.2, -2, spread=0.35))
    assert cluster.share == pytest.approx(2 / 3)
