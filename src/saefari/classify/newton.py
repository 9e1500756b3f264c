"""Truncated Newton for many softmax regressions at once (Nash, doi:10.1016/S0377-0427(00)00426-X).

Every problem has its own conjugate-gradient steps, line search and stopping rule; only products with the matrix are
shared. A problem that has converged leaves them.
"""

from __future__ import annotations

import numpy as np

from saefari.classify.solver import JointSoftmax
from saefari.log import logger

TOLERANCE = 1e-3
"""Of the search. A problem has converged when the decrease that the Newton step promises is at most this share of the
loss and of its decrease since zero weights; the step is still taken, so what is left is far less."""
FINAL_TOLERANCE = 1e-6
_FORCING = 0.1
"""Conjugate gradients end when a step adds at most this share of the mean step's decrease of the quadratic model.
Ended sooner, they promise too little, and problems where they advance slowly (binarized latents) count as converged."""
_LEAST_CURVATURE = 1e-3
"""Added to the diagonal of the intercepts, which no penalty holds, in the preconditioner alone."""
_MOST_CG_STEPS = 100
_MOST_NEWTON_STEPS = 100
_MOST_HALVINGS = 20
_ARMIJO = 1e-4
_ROUNDING = 1e-6
_EXTRAPOLATION = 1.0


def minimise(joint: JointSoftmax, penalty: float, start: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Weights of the minimum of loss + penalty / 2 * ‖coef‖² of every problem; penalty: 1 / C.

    start: weights to begin at; see `JointSoftmax` for their shape.
    """
    weights = start.astype(np.float32)
    active = np.arange(joint.shape[1])
    margins = joint.margins(weights, active)
    for _ in range(_MOST_NEWTON_STEPS):
        here = weights[:, active]
        losses, probabilities = joint.loss(margins, active)
        losses += 0.5 * penalty * _dot(here[:-1], here[:-1])
        gradient = joint.gradient(probabilities, active)
        gradient[:-1] += penalty * here[:-1]
        step, moved = _newton_step(joint, penalty, probabilities, gradient, active)
        promised = -_dot(gradient, step)
        length = _line_search(joint, penalty, here, margins, step, moved, losses, promised, active)
        weights[:, active] = here + length[:, None] * step
        margins += length[:, None] * moved
        scale = np.minimum(losses, np.maximum(joint.loss_at_zero[active] - losses, 0))
        going_on = (promised > tolerance * scale) & (length > 0)
        if not going_on.any():
            return weights
        active, margins = active[going_on], margins[:, going_on]
    logger.warning(
        "%d of %d logistic regressions did not converge at C = %.3g", len(active), joint.shape[1], 1 / penalty
    )
    return weights


def extrapolate(last: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """Where to begin at the next penalty of a geometric path, from the solutions at the last two."""
    return last if before is None else last + np.float32(_EXTRAPOLATION) * (last - before)


def _newton_step(
    joint: JointSoftmax, penalty: float, probabilities: np.ndarray, gradient: np.ndarray, active: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Approximate -H⁻¹ gradient by conjugate gradients, preconditioned by H's diagonal, and its margins."""
    step, moved = np.zeros_like(gradient), np.zeros_like(probabilities)
    inverse = joint.diagonal(probabilities, active)
    inverse[:-1] += penalty
    inverse[-1] += _LEAST_CURVATURE
    inverse = 1 / inverse
    residual = -gradient
    direction = inverse * residual
    square = _dot(residual, direction)
    gained = np.zeros(len(active))
    running = square > 0
    for n_steps in range(1, _MOST_CG_STEPS + 1):
        margins = joint.margins(direction, active)
        curved = joint.curvature(probabilities, margins, active)
        curved[:-1] += penalty * direction[:-1]
        bend = _dot(direction, curved)
        running &= bend > 0
        length = np.divide(square, bend, out=np.zeros_like(square), where=running)
        shown = length.astype(np.float32)[:, None]
        step += shown * direction
        moved += shown * margins
        gain = 0.5 * length * square
        gained += gain
        running &= n_steps * gain > _FORCING * gained
        if not running.any():
            break
        residual -= shown * curved
        np.multiply(inverse, residual, out=curved)
        before, square = square, _dot(residual, curved)
        turn = np.divide(square, before, out=np.zeros_like(square), where=running & (before > 0))
        direction *= turn.astype(np.float32)[:, None]
        direction += curved
    return step, moved


def _line_search(
    joint: JointSoftmax,
    penalty: float,
    here: np.ndarray,
    margins: np.ndarray,
    step: np.ndarray,
    moved: np.ndarray,
    losses: np.ndarray,
    promised: np.ndarray,
    active: np.ndarray,
) -> np.ndarray:
    """Halve each problem's step until it lowers the loss enough; float32 [A], 0 where rounding hides any decrease.

    Margins are linear in the weights, so this needs no product with the matrix.
    """
    fixed = 0.5 * penalty * _dot(here[:-1], here[:-1])
    linear, square = penalty * _dot(here[:-1], step[:-1]), 0.5 * penalty * _dot(step[:-1], step[:-1])
    length = np.ones(len(active), dtype=np.float32)
    for _ in range(_MOST_HALVINGS):
        found = joint.loss(margins + length[:, None] * moved, active)[0] + fixed + length * (linear + length * square)
        too_long = found > losses - _ARMIJO * length * promised + _ROUNDING * losses
        if not too_long.any():
            return length
        length[too_long] /= 2
    length[too_long] = 0
    return length


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Inner product of each problem's weights, float64 [A]."""
    products: np.ndarray = np.einsum("fpk,fpk->p", one, other, dtype=np.float64)
    return products
