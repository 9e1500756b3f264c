"""L2 multinomial logistic regression of many training subsets at once, along a path of penalties.

The subsets (cross-validation folds and the whole training set) share one matrix, so one product with it serves them
all; the objective is the sum of theirs, and they do not touch each other's weights. Each penalty starts where the
previous one ended. A few quasi-Newton steps per penalty rank the candidates as convergence does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from saefari.classify.views import Matrix, View

_STEPS_PER_PENALTY = 15
_LOSS_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Fitted:
    """Weights of P problems at one penalty: coef [n_features, P, K] on viewed features, intercept [P, K]."""

    coef: np.ndarray
    intercept: np.ndarray


class JointSoftmax:
    """The summed objective of P softmax regressions over K classes on one matrix.

    matrix: [n_rows, n_features]; classes: int [n_rows]; views: P of them;
    row_weights: [P, n_rows], 0 where a problem does not train on a row.
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
        self._shape = (self._matrix.shape[1] + 1, len(views), n_classes)

    def path(self, penalties: Sequence[float]) -> Iterator[Fitted]:
        """Fit every problem at each penalty, in the order given: weakest solutions to start from come first."""
        weights = np.zeros(self._shape)
        for penalty in penalties:
            found = minimize(
                self._loss,
                weights.ravel(),
                args=(penalty,),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": _STEPS_PER_PENALTY, "ftol": _LOSS_TOLERANCE, "gtol": 0.0, "maxcor": 5},
            )
            weights = found.x.reshape(self._shape)
            yield Fitted(weights[:-1].astype(np.float32), weights[-1].astype(np.float32))

    def margins(self, fitted: Fitted) -> np.ndarray:
        """Scores before the softmax, float32 [n_rows, P, K], of every row by every problem."""
        coef = (fitted.coef * self._scale).astype(np.float32)
        n_features, n_problems, n_classes = coef.shape
        margins: np.ndarray = (self._matrix @ coef.reshape(n_features, -1)).reshape(-1, n_problems, n_classes)
        if self._shift is not None:
            margins -= np.einsum("dp,dpk->pk", self._shift, coef)
        if self._row_scale is not None:
            margins *= self._row_scale[:, :, None]
        margins += fitted.intercept
        return margins

    def _loss(self, flat: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
        """Mean loss per row and its gradient; penalty: 1 / C."""
        weights = flat.reshape(self._shape)
        n_rows = len(self._classes)
        surplus = self.margins(Fitted(weights[:-1], weights[-1].astype(np.float32)))
        loss = self._softmax_loss(surplus)
        gradient = np.empty(self._shape)
        gradient[-1] = surplus.sum(axis=0)
        gradient[:-1] = self._pull_back(surplus) + penalty * weights[:-1]
        loss += 0.5 * penalty * float(np.vdot(weights[:-1], weights[:-1]))
        return loss / n_rows, gradient.ravel() / n_rows

    def _softmax_loss(self, margins: np.ndarray) -> float:
        """Weighted cross-entropy; `margins` becomes its gradient in place."""
        rows = np.arange(len(margins))
        margins -= margins.max(axis=2, keepdims=True)
        own = margins[rows, :, self._classes].copy()
        np.exp(margins, out=margins)
        total = margins.sum(axis=2)
        loss = float(np.sum((np.log(total) - own) * self._row_weights, dtype=np.float64))
        margins *= (self._row_weights / total)[:, :, None]
        margins[rows, :, self._classes] -= self._row_weights
        return loss

    def _pull_back(self, surplus: np.ndarray) -> np.ndarray:
        """Gradient in the coefficients from the gradient in the margins, which is overwritten."""
        n_rows, n_problems, n_classes = surplus.shape
        if self._row_scale is not None:
            surplus *= self._row_scale[:, :, None]
        gradient: np.ndarray = (self._transposed @ surplus.reshape(n_rows, -1)).reshape(-1, n_problems, n_classes)
        if self._shift is not None:
            gradient -= self._shift[:, :, None] * surplus.sum(axis=0)
        gradient *= self._scale
        return gradient


def _stacked(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The problems' vectors side by side, [n, P], or None where they have none."""
    given = [part for part in parts if part is not None]
    return np.stack(given, axis=1) if given else None
