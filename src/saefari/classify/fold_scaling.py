"""Scaling of the shared feature matrix, fitted on one training subset.

All cross-validation folds share one matrix and differ only in a weight per column (and row), so they can be fitted
together. A fold's scaling depends on its training rows only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

Matrix: TypeAlias = Any
"""A feature matrix: scipy.sparse.csr_array, or np.ndarray where it is dense."""


@dataclass(frozen=True)
class FoldScaling:
    """The transform row_scale * (X - shift) * scale of X [n_rows, n_features].

    scale: float32 [n_features]; 0 leaves a column out.
    shift: float32 [n_features], only for dense matrices, or None.
    row_scale: float32 [n_rows] or None.
    """

    scale: np.ndarray
    shift: np.ndarray | None = None
    row_scale: np.ndarray | None = None

    @property
    def columns(self) -> np.ndarray:
        """Ascending indices of the columns that are kept (scale is not 0)."""
        return np.flatnonzero(self.scale)

    def restricted(self, columns: np.ndarray) -> FoldScaling:
        """Return the same scaling for a matrix with only these columns."""
        return replace(self, scale=self.scale[columns], shift=None if self.shift is None else self.shift[columns])

    def apply(self, matrix: Matrix) -> Matrix:
        """Return the kept columns, scaled: float32 [n_rows, len(columns)]."""
        columns = self.columns
        if isinstance(matrix, np.ndarray):
            shifted = matrix[:, columns] - (0 if self.shift is None else self.shift[columns])
            return (shifted * self.scale[columns]).astype(np.float32)
        kept = sparse.csr_array(matrix[:, columns])
        per_row = np.diff(kept.indptr)
        weights = self.scale[columns][kept.indices]
        if self.row_scale is not None:
            weights = weights * np.repeat(self.row_scale, per_row)
        return sparse.csr_array((kept.data * weights, kept.indices, kept.indptr), shape=kept.shape)


def standardised(matrix: Matrix, rows: np.ndarray, columns: np.ndarray | None = None) -> FoldScaling:
    """Divide columns by their standard deviation over the given rows; centre dense ones.

    matrix: [n_rows, n_features]. rows: indices of the rows for mean and deviation. columns: keep only these, or all;
    columns that are constant over the rows are always left out.
    """
    mean, variance = column_moments(matrix[rows])
    scale = np.divide(1, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
    if columns is not None:
        chosen = np.zeros(len(scale), dtype=bool)
        chosen[columns] = True
        scale[~chosen] = 0
    shift = mean.astype(np.float32) if isinstance(matrix, np.ndarray) else None
    return FoldScaling(scale.astype(np.float32), shift)


def tfidf_weighted(term_weights: sparse.csr_array, rows: np.ndarray, min_df: int) -> FoldScaling:
    """Weight by smoothed inverse document frequency over the given rows, then scale rows to unit length.

    The formula is scikit-learn's.

    term_weights: [n_rows, n_terms], 1 + log(count). Terms in fewer than min_df of the rows are left out.
    """
    frequency = np.bincount(term_weights[rows].indices, minlength=term_weights.shape[1])
    idf = np.where(frequency >= min_df, np.log((1 + len(rows)) / (1 + frequency)) + 1, 0.0)
    squares = (term_weights**2) @ idf**2
    lengths = np.divide(1, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)
    return FoldScaling(idf.astype(np.float32), row_scale=lengths.astype(np.float32))


def column_moments(matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of every column, float64; the variance of a constant column is exactly 0."""
    n_rows = matrix.shape[0]
    exact = matrix.astype(np.float64)
    mean = np.asarray(exact.sum(axis=0)).ravel() / n_rows
    mean_square = np.asarray((exact**2).sum(axis=0)).ravel() / n_rows
    variance = mean_square - mean**2
    # Rounding leaves about 1e-16 of the mean square where the true variance is 0.
    return mean, np.where(variance > 1e-10 * mean_square, variance, 0.0)
