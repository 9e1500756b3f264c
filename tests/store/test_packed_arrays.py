"""Smaller forms of arrays: nothing is lost, or what is lost is below what a probe sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from saefari.store import Manifest, codes_arrays, read_codes_head, write_shard
from saefari.store.packed_arrays import compact_states
from saefari.store.shards import CodesShard


@pytest.mark.parametrize("d_sae", [7, 300, 1 << 16, (1 << 16) + 1, 1 << 20])
@given(counts=st.lists(st.integers(0, 7), max_size=20), seed=st.integers(0, 1000), scale=st.sampled_from([1.0, 1e-9]))
def test_codes_come_back_whatever_their_form(d_sae: int, counts: list[int], seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = [np.sort(rng.choice(d_sae, count, replace=False)) for count in counts]
    indptr = np.cumsum([0, *counts])
    indices = np.concatenate([np.zeros(0, int), *rows]).astype(np.int32)
    values = ((rng.random(len(indices)) + 0.5) * scale).astype(np.float16 if scale == 1 else np.float32)
    arrays = codes_arrays(indptr, indices, values.astype(np.float32), np.arange(len(counts) + 1), d_sae)
    shard = CodesShard.from_arrays(3, arrays)
    np.testing.assert_array_equal(shard.indptr, indptr)
    np.testing.assert_array_equal(shard.indices, indices)
    np.testing.assert_array_equal(shard.values, values.astype(np.float32))
    assert (shard.start, shard.d_sae) == (3, d_sae)
    assert shard.indices.dtype == np.int32
    assert shard.values.dtype == np.float32


@pytest.mark.parametrize("d_sae", [50, 1 << 17])
def test_the_head_of_a_shard_is_its_beginning(tmp_path: Path, d_sae: int) -> None:
    rng = np.random.default_rng(0)
    indptr = np.arange(0, 101, 2)
    indices = np.stack([rng.integers(0, d_sae - 1, 50), np.full(50, d_sae - 1)], axis=1)
    values = rng.random(100).astype(np.float16).astype(np.float32) + 1
    record = write_shard(tmp_path, 0, (0, 50), codes_arrays(indptr, indices.ravel(), values, np.arange(51), d_sae))
    Manifest("codes", {}, 50, shards=[record]).save(tmp_path)
    head = read_codes_head(tmp_path, record, most_active=20)
    assert head.n_rows == 10
    np.testing.assert_array_equal(head.indices, indices.ravel()[:20])
    np.testing.assert_allclose(head.values, values[:20], rtol=2**-11)


def states(n: int = 600, d: int = 24) -> np.ndarray:
    """float32 [n, d] hidden states whose dimensions differ in size by 10^5, as those of language models do."""
    rng = np.random.default_rng(5)
    drawn = rng.standard_normal((n, d)) * np.logspace(-2, 3, d) + rng.standard_normal(d) * 0.5 * np.logspace(-2, 3, d)
    return drawn.astype(np.float32)


def test_states_of_any_usual_size_are_halved() -> None:
    assert compact_states(states()).dtype == np.float16
    assert compact_states(np.zeros((5, 3), np.float32)).dtype == np.float16
    assert compact_states(np.zeros((0, 3), np.float32)).dtype == np.float16


@pytest.mark.parametrize(
    ("why", "values"),
    [
        ("beyond the range", 1e5),
        ("not finite", np.inf),
        ("not a number", np.nan),
    ],
)
def test_a_single_number_that_does_not_fit_keeps_float32(why: str, values: float) -> None:
    x = states()
    x[3, 4] = values
    assert compact_states(x) is x, why


@pytest.mark.parametrize(("mean", "spread"), [(1000.0, 1.0), (0.0, 1e-6), (1 / 3, 0.0)])
def test_a_dimension_whose_differences_would_be_lost_keeps_float32(mean: float, spread: float) -> None:
    x = states()
    x[:, 2] = mean + spread * np.random.default_rng(0).standard_normal(len(x))
    assert compact_states(x) is x


def test_rows_without_positions_do_not_hide_a_loss() -> None:
    x = states()
    x[:, 2] = 1000 + np.random.default_rng(0).standard_normal(len(x))
    x[::3] = 0
    assert compact_states(x) is x


def test_probes_predict_the_same_from_halved_states() -> None:
    x = states(2000)
    rng = np.random.default_rng(1)
    standardised = (x - x.mean(0)) / x.std(0)
    labels = (standardised @ rng.standard_normal((24, 4)) + rng.standard_normal((2000, 4)) * 2).argmax(1)
    half = compact_states(x)
    assert half.dtype == np.float16
    predicted = []
    for features in (x, half.astype(np.float32)):
        scaler = StandardScaler().fit(features[:1000])
        probe = LogisticRegression(max_iter=2000, tol=1e-8).fit(scaler.transform(features[:1000]), labels[:1000])
        predicted.append(probe.predict(scaler.transform(features[1000:])))
    assert (predicted[0] == predicted[1]).mean() > 0.999
