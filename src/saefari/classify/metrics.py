"""Scores of predictions; every class counts, also one that was never predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

_ROC_POINTS = 200


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts int64 [n_classes, n_classes]: rows are true classes, columns predicted ones."""
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


def bootstrap_interval(matrix: np.ndarray, n_bootstrap: int, seed: int) -> tuple[float, float]:
    """Central 95% of macro-F1 over resampled test rows.

    matrix: [K, K]. Drawing rows with replacement is drawing the matrix's cells from a multinomial.
    """
    total = int(matrix.sum())
    draws = np.random.default_rng(seed).multinomial(total, matrix.ravel() / total, size=n_bootstrap)
    low, high = np.quantile(macro_f1(draws.reshape(n_bootstrap, *matrix.shape)), [0.025, 0.975])
    return float(low), float(high)


def evaluate(
    truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], n_bootstrap: int, seed: int
) -> dict[str, Any]:
    """All test scores of one classifier, JSON-able.

    truth: int [n_rows], indices into classes. probabilities: [n_rows, K]. A class that is true of no row, or of all,
    has no ROC curve and counts in no area under it; without any such class `roc_auc` is None.
    """
    matrix = confusion(truth, probabilities.argmax(axis=1), len(classes))
    per_class = _report(matrix, classes)
    support = matrix.sum(axis=1)
    low, high = bootstrap_interval(matrix, n_bootstrap, seed)
    return {
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "macro_f1": float(macro_f1(matrix)),
        "macro_f1_interval": [low, high],
        "weighted_f1": float(np.nan_to_num(f1_per_class(matrix)) @ support / support.sum()),
        "roc_auc": _auc(truth, probabilities),
        "per_class": per_class,
        "confusion": matrix.tolist(),
        "roc": _roc(truth, probabilities, classes),
    }


def _report(matrix: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    hits = np.diag(matrix)
    precision = hits / np.maximum(matrix.sum(axis=0), 1)
    recall = hits / np.maximum(matrix.sum(axis=1), 1)
    f1 = np.nan_to_num(f1_per_class(matrix))
    return {
        name: {
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(matrix[i].sum()),
        }
        for i, name in enumerate(classes)
    }


def _auc(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Area under the ROC curve: of the second class, or one-vs-rest averaged over more."""
    areas = [roc_auc_score(truth == k, probabilities[:, k]) for k in _with_curve(truth, probabilities.shape[1])]
    return float(np.mean(areas)) if areas else None


def _roc(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """One-vs-rest ROC points per class, thinned; of two classes only the second."""
    curves = {}
    for k in _with_curve(truth, len(classes)):
        false_rate, true_rate, _ = roc_curve(truth == k, probabilities[:, k])
        kept = np.unique(np.linspace(0, len(false_rate) - 1, _ROC_POINTS).round().astype(int))
        curves[classes[k]] = {"fpr": false_rate[kept].tolist(), "tpr": true_rate[kept].tolist()}
    return curves


def _with_curve(truth: np.ndarray, n_classes: int) -> list[int]:
    """The classes that have a ROC curve: of two only the second, and none that is true of no row, or of all."""
    counts = np.bincount(truth, minlength=n_classes)
    return [k for k in range(1 if n_classes == 2 else 0, n_classes) if 0 < counts[k] < len(truth)]
