"""Truncated Newton for many softmax regressions at once (Nash, doi:10.1016/S0377-0427(00)00426-X).

Every problem has its own conjugate-gradient steps, line search and stopping rule; only products with the matrix are
shared. Converged problems are dropped from the products.
"""

from __future__ import annotations

import numpy as np

from saefari.classify.solver import JointSoftmax
from saefari.log import logger

TOLERANCE = 1e-4
"""Tolerance of the search. A problem has converged when the expected decrease of a Newton step is at most this share of
the loss and of its decrease since zero weights; the step is still taken, so the remaining error is far smaller."""
FINAL_TOLERANCE = 1e-6
_FORCING = 0.1
"""Conjugate gradients end when a step adds at most this share of the mean step's decrease of the quadratic model. With
a larger share, problems on which they advance slowly (binarized latents) would count as converged too early."""
_LEAST_CURVATURE = 1e-3
"""Added to the diagonal of the unpenalised intercepts, in the preconditioner only."""
_MOST_CG_STEPS = 100
_MOST_NEWTON_STEPS = 100
_MOST_HALVINGS = 20
_ARMIJO = 1e-4
_ROUNDING = 1e-6
_EXTRAPOLATION = 1.0


def minimise(joint: JointSoftmax, penalty: float, start: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Minimise loss + penalty / 2 * ‖coef‖² of every problem and return the weights; penalty: 1 / C.

    start: initial weights; see `JointSoftmax` for their shape.
    """
    weights = start.astype(np.float32)
    active = np.arange(joint.shape[1])
    margins = joint.margins(weights, active)
    for _ in range(_MOST_NEWTON_STEPS):
        current = weights[:, active]
        losses, probabilities = joint.loss(margins, active)
        losses += 0.5 * penalty * _dot(current[:-1], current[:-1])
        gradient = joint.gradient(probabilities, active)
        gradient[:-1] += penalty * current[:-1]
        step, step_margins = _newton_step(joint, penalty, probabilities, gradient, active)
        expected_decrease = -_dot(gradient, step)
        length = _line_search(joint, penalty, current, margins, step, step_margins, losses, expected_decrease, active)
        weights[:, active] = current + length[:, None] * step
        margins += length[:, None] * step_margins
        scale = np.minimum(losses, np.maximum(joint.loss_at_zero[active] - losses, 0))
        unconverged = (expected_decrease > tolerance * scale) & (length > 0)
        if not unconverged.any():
            return weights
        active, margins = active[unconverged], margins[:, unconverged]
    logger.warning(
        "%d of %d logistic regressions did not converge at C = %.3g", len(active), joint.shape[1], 1 / penalty
    )
    return weights


def extrapolate(last: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """Return initial weights for the next penalty of a geometric path, from the solutions at the last two."""
    return last if before is None else last + np.float32(_EXTRAPOLATION) * (last - before)


def _newton_step(
    joint: JointSoftmax, penalty: float, probabilities: np.ndarray, gradient: np.ndarray, active: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Approximate -H⁻¹ gradient by conjugate gradients, preconditioned by H's diagonal; also return its margins."""
    step, step_margins = np.zeros_like(gradient), np.zeros_like(probabilities)
    inverse = joint.diagonal(probabilities, active)
    inverse[:-1] += penalty
    inverse[-1] += _LEAST_CURVATURE
    inverse = 1 / inverse
    residual = -gradient
    direction = inverse * residual
    square = _dot(residual, direction)
    total_gain = np.zeros(len(active))
    running = square > 0
    for n_steps in range(1, _MOST_CG_STEPS + 1):
        margins = joint.margins(direction, active)
        hessian_product = joint.curvature(probabilities, margins, active)
        hessian_product[:-1] += penalty * direction[:-1]
        curvature_along = _dot(direction, hessian_product)
        running &= curvature_along > 0
        length = np.divide(square, curvature_along, out=np.zeros_like(square), where=running)
        length_f32 = length.astype(np.float32)[:, None]
        step += length_f32 * direction
        step_margins += length_f32 * margins
        gain = 0.5 * length * square
        total_gain += gain
        running &= n_steps * gain > _FORCING * total_gain
        if not running.any():
            break
        residual -= length_f32 * hessian_product
        np.multiply(inverse, residual, out=hessian_product)
        before, square = square, _dot(residual, hessian_product)
        beta = np.divide(square, before, out=np.zeros_like(square), where=running & (before > 0))
        direction *= beta.astype(np.float32)[:, None]
        direction += hessian_product
    return step, step_margins


def _line_search(
    joint: JointSoftmax,
    penalty: float,
    current: np.ndarray,
    margins: np.ndarray,
    step: np.ndarray,
    step_margins: np.ndarray,
    losses: np.ndarray,
    expected_decrease: np.ndarray,
    active: np.ndarray,
) -> np.ndarray:
    """Halve each problem's step until it lowers the loss enough.

    Margins are linear in the weights, so this needs no product with the matrix. Returns step lengths, float32 [A]; 0 if
    rounding hides any decrease.
    """
    fixed = 0.5 * penalty * _dot(current[:-1], current[:-1])
    linear, square = penalty * _dot(current[:-1], step[:-1]), 0.5 * penalty * _dot(step[:-1], step[:-1])
    length = np.ones(len(active), dtype=np.float32)
    for _ in range(_MOST_HALVINGS):
        new_losses = (
            joint.loss(margins + length[:, None] * step_margins, active)[0]
            + fixed
            + length * (linear + length * square)
        )
        too_long = new_losses > losses - _ARMIJO * length * expected_decrease + _ROUNDING * losses
        if not too_long.any():
            return length
        length[too_long] /= 2
    length[too_long] = 0
    return length


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Inner product of each problem's weights, float64 [A]."""
    products: np.ndarray = np.einsum("fpk,fpk->p", one, other, dtype=np.float64)
    return products
