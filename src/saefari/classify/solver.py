"""Joint objective of many L2 multinomial logistic regressions on one matrix.

The problems (cross-validation folds) differ only in scaling and row weights, so they share products with the matrix;
their weights are independent. `saefari.classify.newton` minimises the objective.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from saefari.classify.fold_scaling import FoldScaling, Matrix


class JointSoftmax:
    """P softmax regressions over K classes.

    matrix: [n_rows, n_features]; classes: int [n_rows]; scalings: P of them;
    row_weights: [P, n_rows], 0 where a problem does not train on a row.

    Weights are float32 [n_features + 1, P, K], for scaled features; the last row holds the intercepts. `active`, int
    [A]: indices of the problems that an array refers to.
    """

    def __init__(
        self,
        matrix: Matrix,
        classes: np.ndarray,
        n_classes: int,
        scalings: Sequence[FoldScaling],
        row_weights: np.ndarray,
    ) -> None:
        self._matrix = matrix.astype(np.float32)
        self._transposed = self._matrix.T if isinstance(matrix, np.ndarray) else sparse.csr_array(self._matrix.T)
        self._classes = classes
        self._scale = np.stack([scaling.scale for scaling in scalings], axis=1)[:, :, None]
        self._shift = _stacked([scaling.shift for scaling in scalings])
        self._row_scale = _stacked([scaling.row_scale for scaling in scalings])
        self._row_weights = np.ascontiguousarray(row_weights.T, dtype=np.float32)
        self.shape = (self._matrix.shape[1] + 1, len(scalings), n_classes)
        self.loss_at_zero = self._row_weights.sum(axis=0, dtype=np.float64) * np.log(n_classes)

    def margins(self, weights: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return scores before the softmax, float32 [n_rows, A, K], of every row and active problem."""
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
        """Return the weighted cross-entropy of each problem, float64 [A], and probabilities [n_rows, A, K]."""
        probabilities = margins - margins.max(axis=2, keepdims=True)
        own = probabilities[np.arange(len(margins)), :, self._classes]
        np.exp(probabilities, out=probabilities)
        total = probabilities.sum(axis=2)
        probabilities /= total[:, :, None]
        losses = (np.log(total) - own) * self._row_weights[:, active]
        return losses.sum(axis=0, dtype=np.float64), probabilities

    def gradient(self, probabilities: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return the gradient of `loss` with respect to the weights."""
        residual = probabilities * self._row_weights[:, active, None]
        residual[np.arange(len(residual)), :, self._classes] -= self._row_weights[:, active]
        return self._pull_back(residual, active)

    def curvature(self, probabilities: np.ndarray, direction_margins: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return the Hessian of `loss` times a direction with margins `direction_margins` [n_rows, A, K]."""
        change = probabilities * direction_margins
        change -= probabilities * change.sum(axis=2, keepdims=True)
        change *= self._row_weights[:, active, None]
        return self._pull_back(change, active)

    def diagonal(self, probabilities: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian of `loss`, in the shape of the weights."""
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
        """Turn a derivative with respect to the margins (overwritten) into one with respect to the weights."""
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
    """Stack the problems' vectors as columns, [n, P]; None if they have none."""
    given = [part for part in parts if part is not None]
    return np.stack(given, axis=1) if given else None
