"""Scalings equal those that scikit-learn fits on the same rows; held-out rows do not affect them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from saefari.classify.fold_scaling import Matrix, standardised, tfidf_weighted

ROWS = np.arange(0, 40, 2)
TEXTS = [f"word{i % 7} word{i % 5} word{i % 3} other{i % 4} word{i % 7}" for i in range(40)] + ["rare terms here"]


def features(form: str) -> Matrix:
    generator = np.random.default_rng(0)
    dense = (generator.random((40, 6)) * (generator.random((40, 6)) < 0.6)).astype(np.float32)
    dense[:, 4] = 0
    return dense if form == "dense" else sparse.csr_array(dense)


def dense_of(matrix: Matrix) -> np.ndarray:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_standardised_equals_scikit_learns_scaler(form: str) -> None:
    matrix = features(form)
    scaler = StandardScaler(with_mean=form == "dense").fit(matrix[ROWS])
    scaling = standardised(matrix, ROWS)
    assert scaling.columns.tolist() == [0, 1, 2, 3, 5]  # a constant column is left out
    np.testing.assert_allclose(
        dense_of(scaling.apply(matrix)), dense_of(scaler.transform(matrix))[:, scaling.columns], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_held_out_rows_do_not_affect_the_scaling(form: str) -> None:
    matrix = dense_of(features(form))
    poisoned = matrix.copy()
    poisoned[np.setdiff1d(np.arange(40), ROWS)] = 1000
    scalings = [standardised(m if form == "dense" else sparse.csr_array(m), ROWS) for m in (matrix, poisoned)]
    np.testing.assert_array_equal(scalings[0].scale, scalings[1].scale)
    if form == "dense":
        np.testing.assert_array_equal(scalings[0].shift, scalings[1].shift)


def test_only_chosen_columns_are_kept() -> None:
    matrix = features("sparse")
    assert standardised(matrix, ROWS, np.array([1, 4, 5])).columns.tolist() == [1, 5]


def test_tfidf_equals_a_vectorizer_fitted_on_the_rows_alone() -> None:
    rows = np.arange(30)
    counter = CountVectorizer(ngram_range=(1, 2), min_df=1)
    counts = sparse.csr_array(counter.fit_transform(TEXTS))
    weights = sparse.csr_array((np.log(counts.data) + 1.0, counts.indices, counts.indptr), shape=counts.shape)
    scaling = tfidf_weighted(weights, rows, min_df=2)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit([TEXTS[i] for i in rows])
    terms = counter.get_feature_names_out()[scaling.columns]
    assert terms.tolist() == vectorizer.get_feature_names_out().tolist()
    np.testing.assert_allclose(scaling.apply(weights).toarray(), vectorizer.transform(TEXTS).toarray(), atol=1e-6)
