"""One classification problem as both classifiers read it: training rows, folds and how each fold sees the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from saefari.classify.fold_scaling import Matrix, View


@dataclass(frozen=True)
class Problem:
    """Training rows only.

    matrix: [n_rows, n_features]; classes: int [n_rows] in 0..n_classes - 1; folds: int [n_rows].
    view: what all rows decide; fold_views: what the rows outside each fold decide.
    """

    matrix: Matrix
    classes: np.ndarray
    n_classes: int
    folds: np.ndarray
    view: View
    fold_views: Sequence[View]
    class_weight: Literal["balanced"] | None
    seed: int

    @property
    def n_folds(self) -> int:
        return len(self.fold_views)

    def held_out(self, fold: int) -> np.ndarray:
        """Indices of the rows that a fold tests on."""
        return np.flatnonzero(self.folds == fold)

    def kept_in(self, fold: int) -> np.ndarray:
        """Indices of the rows that a fold trains on."""
        return np.flatnonzero(self.folds != fold)

    def row_weights(self, fold: int | None) -> np.ndarray:
        """float32 [n_rows]: what each row counts in training; 0 where held out; None = all rows train."""
        trains = self.folds != (-1 if fold is None else fold)
        weights: np.ndarray = trains.astype(np.float32)
        if self.class_weight is not None:
            present = np.unique(self.classes[trains])
            per_class = np.zeros(self.n_classes, dtype=np.float32)
            per_class[present] = compute_class_weight(self.class_weight, classes=present, y=self.classes[trains])
            weights *= per_class[self.classes]
        return weights
