"""Confusion matrices and the scores computed from them; a class that is never predicted counts."""

from __future__ import annotations

import numpy as np


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Return counts, int64 [n_classes, n_classes]: rows are true classes, columns predicted ones."""
    cells = np.bincount(truth * n_classes + predicted, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes)


def f1_per_class(matrix: np.ndarray) -> np.ndarray:
    """F1 of each class from confusion matrices [..., K, K] -> [..., K]; NaN for a class neither true nor predicted."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    involved = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    missing = np.full(hits.shape, np.nan)
    f1: np.ndarray = np.divide(2 * hits, involved, out=missing, where=involved > 0)
    return f1


def macro_f1(matrix: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that occur, from confusion matrices [..., K, K] -> [...]."""
    mean: np.ndarray = np.nanmean(f1_per_class(matrix), axis=-1)
    return mean


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """Share of correct rows, from confusion matrices [..., K, K] -> [...]."""
    share: np.ndarray = np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1))
    return share
