"""The training problem of one setting: features, classes, folds and the scaling of each fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from saefari.classify.fold_scaling import FoldScaling, Matrix


@dataclass(frozen=True)
class Problem:
    """Training rows of one setting.

    matrix: [n_rows, n_features]; classes: int [n_rows] in 0..n_classes - 1; folds: int [n_rows].
    scaling: fitted on all rows; fold_scalings: fitted on the training rows of each fold.
    """

    matrix: Matrix
    classes: np.ndarray
    n_classes: int
    folds: np.ndarray
    scaling: FoldScaling
    fold_scalings: Sequence[FoldScaling]
    class_weight: Literal["balanced"] | None
    seed: int

    @property
    def n_folds(self) -> int:
        return len(self.fold_scalings)

    def held_out(self, fold: int) -> np.ndarray:
        """Indices of the rows that a fold tests on."""
        return np.flatnonzero(self.folds == fold)

    def training_rows(self, fold: int) -> np.ndarray:
        """Indices of the rows that a fold trains on."""
        return np.flatnonzero(self.folds != fold)

    def row_weights(self, fold: int | None) -> np.ndarray:
        """Return training weights, float32 [n_rows], 0 for held-out rows; fold None = train on all rows."""
        training = self.folds != (-1 if fold is None else fold)
        weights: np.ndarray = training.astype(np.float32)
        if self.class_weight is not None:
            present = np.unique(self.classes[training])
            per_class = np.zeros(self.n_classes, dtype=np.float32)
            per_class[present] = compute_class_weight(self.class_weight, classes=present, y=self.classes[training])
            weights *= per_class[self.classes]
        return weights
