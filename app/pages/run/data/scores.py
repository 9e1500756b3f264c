"""Scores of a result, derived from results.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Scores = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """One candidate of the hyperparameter search. settings: its values. folds: macro-F1 per fold."""

    settings: dict[str, Any]
    folds: list[float]
    chosen: bool

    @property
    def mean(self) -> float:
        return float(np.mean(self.folds))


def confusion(scores: Scores, classes: Sequence[str]) -> np.ndarray | None:
    """Confusion matrix int64 [K, K], rows are true classes; None if missing. Raises ValueError for another shape."""
    if scores.get("confusion") is None:
        return None
    matrix = np.asarray(scores["confusion"], dtype=np.int64)
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(f"the confusion matrix is {matrix.shape}, of {len(classes)} classes")
    return matrix


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """Each count divided by the row sum, float64 [K, K]."""
    shares: np.ndarray = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return shares


def confused_pairs(matrix: np.ndarray, classes: Sequence[str], most: int = 200) -> list[dict[str, Any]]:
    """Pairs (true, predicted) of confused classes, most frequent first."""
    wrong = matrix - np.diag(np.diag(matrix))
    shares = row_shares(matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(i) // len(classes), int(i) % len(classes)) for i in order]
    return [
        {"true": classes[i], "predicted": classes[j], "rows": int(wrong[i, j]), "share": float(shares[i, j])}
        for i, j in pairs
        if wrong[i, j] > 0
    ]


def roc_areas(scores: Scores) -> dict[str, float]:
    """Area under each class's stored ROC curve (thinned: accurate to about two decimals); {} without curves."""
    return {
        str(name): float(np.trapezoid(curve["tpr"], curve["fpr"])) for name, curve in (scores.get("roc") or {}).items()
    }


def class_rows(scores: Scores, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Scores per class; [] if not recorded."""
    reports = scores.get("per_class") or {}
    areas = roc_areas(scores)
    names = ("precision", "recall", "f1", "support")
    return [
        {"class": name, **{key: reports[name].get(key) for key in names}, "roc_auc": areas.get(name)}
        for name in classes
        if name in reports
    ]


def candidates(scores: Scores) -> list[Candidate]:
    """All candidates of the search, in order; [] if not recorded."""
    chosen = scores.get("chosen") or {}
    found = []
    for one in scores.get("candidates") or []:
        settings = {key: value for key, value in one.items() if key != "folds"}
        is_chosen = all(chosen.get(key) == value for key, value in settings.items())
        found.append(Candidate(settings, [float(fold) for fold in one["folds"]], is_chosen))
    return found


def share_interval(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share of n rows (doi:10.1080/01621459.1927.10502953)."""
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
