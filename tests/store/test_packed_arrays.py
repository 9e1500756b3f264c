"""Compact encodings of arrays: lossless, or with a rounding error that does not affect probes."""

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
def test_codes_survive_a_round_trip(d_sae: int, counts: list[int], seed: int, scale: float) -> None:
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
def test_read_codes_head_returns_the_first_rows(tmp_path: Path, d_sae: int) -> None:
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
    """Return hidden states float32 [n, d] whose dimensions differ in scale by 10^5, as in language models."""
    rng = np.random.default_rng(5)
    drawn = rng.standard_normal((n, d)) * np.logspace(-2, 3, d) + rng.standard_normal(d) * 0.5 * np.logspace(-2, 3, d)
    return drawn.astype(np.float32)


def test_states_of_usual_scale_become_float16() -> None:
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
def test_one_value_outside_the_float16_range_keeps_float32(why: str, values: float) -> None:
    x = states()
    x[3, 4] = values
    assert compact_states(x) is x, why


@pytest.mark.parametrize(("mean", "spread"), [(1000.0, 1.0), (0.0, 1e-6), (1 / 3, 0.0)])
def test_dimension_with_a_large_rounding_error_keeps_float32(mean: float, spread: float) -> None:
    x = states()
    x[:, 2] = mean + spread * np.random.default_rng(0).standard_normal(len(x))
    assert compact_states(x) is x


def test_zero_rows_do_not_hide_a_rounding_error() -> None:
    x = states()
    x[:, 2] = 1000 + np.random.default_rng(0).standard_normal(len(x))
    x[::3] = 0
    assert compact_states(x) is x


def test_probes_predict_the_same_from_float16_states() -> None:
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
