"""Pooling, counting, binarizing and selecting against a plain dense reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from saefari.classify.features import (
    activation_ranks,
    binarize,
    class_separation,
    pool_codes,
    select_k,
    stack_rows,
    top_n_counts,
)

D_SAE = 6


@st.composite
def coded_samples(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Dense codes [n_positions, D_SAE], many ties and zeros, and offsets with empty samples."""
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    value = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 2.0])
    n_values = sum(lengths) * D_SAE
    values = draw(st.lists(value, min_size=n_values, max_size=n_values))
    codes = np.array(values, dtype=np.float32).reshape(-1, D_SAE)
    return codes, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def samples(codes: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    return [codes[start:stop] for start, stop in pairwise(offsets)]


@given(coded_samples(), st.sampled_from(["sum", "mean", "max", "last"]))
def test_pooling_equals_the_dense_reference(coded: tuple[np.ndarray, np.ndarray], how: str) -> None:
    codes, offsets = coded
    reduce = {
        "sum": lambda x: x.sum(axis=0),
        "mean": lambda x: x.mean(axis=0),
        "max": lambda x: x.max(axis=0),
        "last": lambda x: x[-1],
    }[how]
    expected = [reduce(x) if len(x) else np.zeros(D_SAE) for x in samples(codes, offsets)]
    pooled = pool_codes(sparse.csr_array(codes), offsets, how)  # type: ignore[arg-type]
    np.testing.assert_allclose(pooled.toarray(), expected, rtol=1e-6)
    assert pooled.dtype == np.float32
    assert pooled.has_sorted_indices


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="'median' is not a pooling"):
        pool_codes(sparse.csr_array((2, D_SAE)), np.array([0, 2]), "median")  # type: ignore[arg-type]


@given(coded_samples(), st.sampled_from([-1, 1, 2, 3, D_SAE, 50]))
def test_counting_equals_the_dense_reference(coded: tuple[np.ndarray, np.ndarray], n: int) -> None:
    codes, offsets = coded
    chosen = np.zeros_like(codes)
    for position, row in enumerate(codes):
        largest = sorted(range(D_SAE), key=lambda latent: (-row[latent], latent))  # ties: the lower latent
        for latent in largest if n == -1 else largest[:n]:
            chosen[position, latent] = row[latent] > 0  # an inactive latent is never among them
    expected = [x.sum(axis=0) for x in samples(chosen, offsets)]
    np.testing.assert_array_equal(top_n_counts(sparse.csr_array(codes), offsets, n).toarray(), expected)


@given(coded_samples())
def test_shared_ranks_are_valid_for_every_larger_n(coded: tuple[np.ndarray, np.ndarray]) -> None:
    codes, offsets = sparse.csr_array(coded[0]), coded[1]
    ranks = activation_ranks(codes, at_least=2)
    for n in (2, 3, 5):
        shared = top_n_counts(codes, offsets, n, ranks).toarray()
        np.testing.assert_array_equal(shared, top_n_counts(codes, offsets, n).toarray())


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 2, 1, 3], []])
def test_offsets_that_do_not_cover_the_codes_are_an_error(offsets: list[int]) -> None:
    codes = sparse.csr_array(np.ones((3, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="do not cover"):
        pool_codes(codes, np.array(offsets), "sum")


def test_invalid_top_n_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        top_n_counts(sparse.csr_array(np.ones((1, 2))), np.array([0, 1]), 0)


def test_binarize_is_strict_and_does_not_change_its_input() -> None:
    features = sparse.csr_array(np.array([[0.0, 0.5, 1.0, 1.5]], dtype=np.float32))
    np.testing.assert_array_equal(binarize(features, 1.0).toarray(), [[0, 0, 0, 1]])
    np.testing.assert_array_equal(binarize(features, 0.0).toarray(), [[0, 1, 1, 1]])
    assert binarize(features, 1.0).nnz == 1
    np.testing.assert_array_equal(features.toarray(), [[0, 0.5, 1, 1.5]])
    with pytest.raises(ValueError, match="negative"):
        binarize(features, -0.5)


@pytest.mark.parametrize("form", [sparse.csr_array, np.asarray])
def test_separation_is_the_largest_standardised_mean_difference(form: type) -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 3, size=50)
    dense = generator.random((50, 5)) * (generator.random((50, 5)) < 0.5)
    dense[:, 3] = 2.0
    expected = np.zeros(5)
    for feature in range(5):
        for k in range(3):
            inside, outside = dense[classes == k, feature], dense[classes != k, feature]
            spread = np.sqrt((inside.var() + outside.var()) / 2)
            if spread > 1e-9:
                expected[feature] = max(expected[feature], abs(inside.mean() - outside.mean()) / spread)
    np.testing.assert_allclose(class_separation(form(dense), classes), expected, rtol=1e-6, atol=1e-9)
    best = sorted(np.argsort(-expected)[:2])
    np.testing.assert_array_equal(select_k(form(dense), classes, 2), best)
    assert len(select_k(form(dense), classes, 99)) == 5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", [sparse.csr_array, np.asarray])
def test_a_class_missing_from_a_fold_changes_nothing(form: type) -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 3, size=50)
    dense = generator.random((50, 5))
    np.testing.assert_array_equal(
        class_separation(form(dense), classes), class_separation(form(dense), np.array([1, 4, 6])[classes])
    )
    assert not class_separation(form(dense), np.full(50, 2)).any()


def test_a_feature_that_separates_perfectly_comes_first() -> None:
    classes = np.array([0, 0, 1, 1])
    features = np.array([[1.0, 0, 5], [1, 3, 5], [0, 4, 5], [0, 4, 5]])
    assert class_separation(features, classes)[0] == np.inf
    assert select_k(features, classes, 1).tolist() == [0]


def test_stacked_rows_have_the_indices_that_scikit_learn_takes() -> None:
    part = sparse.csr_array(
        (np.ones(2, np.float32), np.array([1, 0], np.int64), np.array([0, 2], np.int64)), shape=(1, 2)
    )
    stacked = stack_rows([part, part])
    assert stacked.shape == (2, 2)
    assert stacked.indices.tolist() == [0, 1, 0, 1]
    assert stacked.indices.dtype == stacked.indptr.dtype == np.int32
