"""Scores of predictions on test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from saefari.classify.confusion import accuracy, confusion, f1_per_class, macro_f1
from saefari.classify.interval import macro_f1_interval
from saefari.names import INTERVAL_METHOD

_ROC_POINTS = 200


def evaluate(
    truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], n_bootstrap: int, seed: int
) -> dict[str, Any]:
    """Compute all test scores of one classifier, JSON-able.

    truth: int [n_rows], indices into classes. probabilities: [n_rows, K]. A class that no row or every row has gets no
    ROC curve and is left out of `roc_auc`, which is None if no class has a curve. Macro averages are over the classes
    that are true or predicted for any row.
    """
    matrix = confusion(truth, probabilities.argmax(axis=1), len(classes))
    per_class = _scores_per_class(matrix, classes)
    support = matrix.sum(axis=1)
    occurring = [per_class[name] for name, f1 in zip(classes, f1_per_class(matrix), strict=True) if not np.isnan(f1)]
    return {
        "accuracy": float(accuracy(matrix)),
        "macro_f1": float(macro_f1(matrix)),
        "macro_f1_interval": list(macro_f1_interval(matrix, n_bootstrap, seed)),
        "interval_method": INTERVAL_METHOD,
        "macro_precision": float(np.mean([scores["precision"] for scores in occurring])),
        "macro_recall": float(np.mean([scores["recall"] for scores in occurring])),
        "weighted_f1": float(np.nan_to_num(f1_per_class(matrix)) @ support / support.sum()),
        "roc_auc": _auc(truth, probabilities),
        "per_class": per_class,
        "confusion": matrix.tolist(),
        "roc": _roc(truth, probabilities, classes),
    }


def _scores_per_class(matrix: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
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
    """Area under the ROC curve: of the second of two classes, otherwise the mean of one-vs-rest areas."""
    areas = [roc_auc_score(truth == k, probabilities[:, k]) for k in _classes_with_roc(truth, probabilities.shape[1])]
    return float(np.mean(areas)) if areas else None


def _roc(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """One-vs-rest ROC points per class, thinned out; of two classes only the second."""
    curves = {}
    for k in _classes_with_roc(truth, len(classes)):
        false_rate, true_rate, _ = roc_curve(truth == k, probabilities[:, k])
        kept = np.unique(np.linspace(0, len(false_rate) - 1, _ROC_POINTS).round().astype(int))
        curves[classes[k]] = {"fpr": false_rate[kept].tolist(), "tpr": true_rate[kept].tolist()}
    return curves


def _classes_with_roc(truth: np.ndarray, n_classes: int) -> list[int]:
    """Return the classes that some but not all rows have; of two classes only the second."""
    counts = np.bincount(truth, minlength=n_classes)
    return [k for k in range(1 if n_classes == 2 else 0, n_classes) if 0 < counts[k] < len(truth)]
