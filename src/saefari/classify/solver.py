"""The summed objective of many L2 multinomial logistic regressions on one matrix.

The problems (cross-validation folds) differ in how they see the columns and in the rows that they train on, so one
product with the matrix serves them all, and they do not touch each other's weights. `saefari.classify.newton` minimises
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from saefari.classify.fold_scaling import Matrix, View


class JointSoftmax:
    """P softmax regressions over K classes.

    matrix: [n_rows, n_features]; classes: int [n_rows]; views: P of them;
    row_weights: [P, n_rows], 0 where a problem does not train on a row.

    Weights are float32 [n_features + 1, P, K], on viewed features; the last row holds the intercepts. `active`, int
    [A], picks the problems that an array is about.
    """

    def __init__(
        self,
        matrix: Matrix,
        classes: np.ndarray,
        n_classes: int,
        views: Sequence[View],
        row_weights: np.ndarray,
    ) -> None:
        self._matrix = matrix.astype(np.float32)
        self._transposed = self._matrix.T if isinstance(matrix, np.ndarray) else sparse.csr_array(self._matrix.T)
        self._classes = classes
        self._scale = np.stack([view.scale for view in views], axis=1)[:, :, None]
        self._shift = _stacked([view.shift for view in views])
        self._row_scale = _stacked([view.row_scale for view in views])
        self._row_weights = np.ascontiguousarray(row_weights.T, dtype=np.float32)
        self.shape = (self._matrix.shape[1] + 1, len(views), n_classes)
        self.loss_at_zero = self._row_weights.sum(axis=0, dtype=np.float64) * np.log(n_classes)

    def margins(self, weights: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Scores before the softmax, float32 [n_rows, A, K], of every row by every active problem."""
        coef = weights[:-1] * self._scale[:, active]
        n_features, n_active, n_classes = coef.shape
        margins: np.ndarray = (self._matrix @ coef.reshape(n_features, -1)).reshape(-1, n_active, n_classes)
        if self._shift is not None:
            margins -= np.einsum("dp,dpk->pk", self._shift[:, active], coef)
        if self._row_scale is not None:
            margins *= self._row_scale[:, active, None]
        margins += weights[-1]
        return margins

    def loss(self, margins: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weighted cross-entropy of each problem, float64 [A], and the rows' probabilities [n_rows, A, K]."""
        probabilities = margins - margins.max(axis=2, keepdims=True)
        own = probabilities[np.arange(len(margins)), :, self._classes]
        np.exp(probabilities, out=probabilities)
        total = probabilities.sum(axis=2)
        probabilities /= total[:, :, None]
        losses = (np.log(total) - own) * self._row_weights[:, active]
        return losses.sum(axis=0, dtype=np.float64), probabilities

    def gradient(self, probabilities: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Gradient of `loss` in the weights."""
        surplus = probabilities * self._row_weights[:, active, None]
        surplus[np.arange(len(surplus)), :, self._classes] -= self._row_weights[:, active]
        return self._pull_back(surplus, active)

    def curvature(self, probabilities: np.ndarray, moved: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Hessian of `loss` times a direction in the weights, whose margins are `moved` [n_rows, A, K]."""
        change = probabilities * moved
        change -= probabilities * change.sum(axis=2, keepdims=True)
        change *= self._row_weights[:, active, None]
        return self._pull_back(change, active)

    def diagonal(self, probabilities: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Diagonal of the Hessian of `loss`, in the shape of the weights."""
        spread = probabilities * (1 - probabilities)
        spread *= self._row_weights[:, active, None]
        diagonal = np.empty((self.shape[0], *spread.shape[1:]), dtype=np.float32)
        diagonal[-1] = spread.sum(axis=0)
        if self._row_scale is not None:
            spread *= self._row_scale[:, active, None] ** 2
        flat = spread.reshape(len(spread), -1)
        diagonal[:-1] = (self._transposed**2 @ flat).reshape(diagonal[:-1].shape)
        if self._shift is not None:
            shift = self._shift[:, active, None]
            diagonal[:-1] -= 2 * shift * (self._transposed @ flat).reshape(diagonal[:-1].shape)
            diagonal[:-1] += shift**2 * spread.sum(axis=0)
        diagonal[:-1] *= self._scale[:, active] ** 2
        return np.maximum(diagonal, 0, out=diagonal)

    def _pull_back(self, change: np.ndarray, active: np.ndarray) -> np.ndarray:
        """From a derivative in the margins, which is overwritten, to that in the weights."""
        n_rows, n_active, n_classes = change.shape
        pulled = np.empty((self.shape[0], n_active, n_classes), dtype=np.float32)
        pulled[-1] = change.sum(axis=0)
        if self._row_scale is not None:
            change *= self._row_scale[:, active, None]
        pulled[:-1] = (self._transposed @ change.reshape(n_rows, -1)).reshape(-1, n_active, n_classes)
        if self._shift is not None:
            pulled[:-1] -= self._shift[:, active, None] * change.sum(axis=0)
        pulled[:-1] *= self._scale[:, active]
        return pulled


def _stacked(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The problems' vectors side by side, [n, P], or None where they have none."""
    given = [part for part in parts if part is not None]
    return np.stack(given, axis=1) if given else None
