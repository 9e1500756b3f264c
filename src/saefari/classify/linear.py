"""Linear probe: L2 logistic regression whose penalty is chosen by cross-validated macro-F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from saefari.classify.confusion import accuracy, confusion, macro_f1
from saefari.classify.fold_scaling import FoldScaling, Matrix
from saefari.classify.newton import FINAL_TOLERANCE, extrapolate, minimise
from saefari.classify.problem import Problem
from saefari.classify.solver import JointSoftmax

INITIAL_EXPONENTS = range(5)
"""First candidates for C times the mean squared row length, as powers of √10: 1, 3.2, 10, 32, 100. The factor makes
them comparable between feature sources."""
MIN_BEYOND_BEST = 2
"""The search ends with this many candidates on either side of the best one."""
LOWEST_EXPONENT, HIGHEST_EXPONENT = -8, 10
"""Limits of the search: 0.0001 and 100,000."""
_MOST_WEIGHTS = 4_000_000


@dataclass(frozen=True)
class LinearSearch:
    """Result of the cross-validated search.

    penalties: candidates for C, ascending [n_candidates]. scores, accuracies: macro-F1 and accuracy
    [n_candidates, n_folds]. best: index of the chosen candidate. start: mean of the folds' weights at this candidate,
    float32 [n_features + 1, K], for scaled features, intercepts last.
    """

    penalties: list[float]
    scores: np.ndarray
    accuracies: np.ndarray
    best: int
    start: np.ndarray


def search_linear(problem: Problem) -> LinearSearch:
    """Fit candidates on every fold to convergence; choose the best mean macro-F1, of equals the smaller C.

    After `INITIAL_EXPONENTS`, candidates are added while the best one is at an edge or next to it.
    """
    length = _mean_square_length(problem.scaling, problem.matrix)
    path = _PenaltyPath(problem)
    found: dict[int, np.ndarray] = {}
    best, start = INITIAL_EXPONENTS[0], np.zeros(0)

    def fit(exponent: int) -> None:
        nonlocal best, start
        found[exponent] = path.fit(length / 10 ** (exponent / 2))
        if (_mean_f1(found[exponent]), -exponent) >= (_mean_f1(found[best]), -best):
            best, start = exponent, path.mean_weights()

    for exponent in INITIAL_EXPONENTS:
        fit(exponent)
    while max(found) < min(best + MIN_BEYOND_BEST, HIGHEST_EXPONENT):
        fit(max(found) + 1)
    path.restart()
    while min(found) > max(best - MIN_BEYOND_BEST, LOWEST_EXPONENT):
        fit(min(found) - 1)
    exponents = sorted(found)
    confusions = np.stack([found[exponent] for exponent in exponents])
    penalties = [10 ** (exponent / 2) / length for exponent in exponents]
    return LinearSearch(penalties, macro_f1(confusions), accuracy(confusions), exponents.index(best), start)


def fit_linear(search: LinearSearch, features: Matrix, problem: Problem) -> LogisticRegression:
    """Fit the chosen probe to convergence on all training rows.

    features: [n_rows, n_kept], the kept columns, scaled by `problem.scaling`.
    """
    penalty = search.penalties[search.best]
    identity = FoldScaling(np.ones(features.shape[1], dtype=np.float32))
    joint = JointSoftmax(features, problem.classes, problem.n_classes, [identity], problem.row_weights(None)[None])
    start = search.start[[*problem.scaling.columns, -1]]
    weights = minimise(joint, 1 / penalty, start[:, None], FINAL_TOLERANCE)[:, 0].T.astype(np.float64)
    binary = problem.n_classes == 2
    # scikit-learn fits two classes with one weight vector; twice the C gives the same penalised probabilities.
    probe = LogisticRegression(C=penalty * (2 if binary else 1), class_weight=problem.class_weight)
    probe.classes_ = np.arange(problem.n_classes)
    probe.n_features_in_ = features.shape[1]
    weights = weights[1:] - weights[:1] if binary else weights - weights.mean(axis=0)
    probe.coef_, probe.intercept_ = weights[:, :-1], weights[:, -1]
    return probe


class _PenaltyPath:
    """Fits of all folds along a path of penalties; each starts from an extrapolation of the previous ones."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        used = np.flatnonzero(np.any([scaling.scale for scaling in problem.fold_scalings], axis=0))
        matrix, scalings = problem.matrix[:, used], [scaling.restricted(used) for scaling in problem.fold_scalings]
        self._used = used
        self._groups = _groups(problem.n_folds, (len(used) + 1) * problem.n_classes)
        self._joints = [
            JointSoftmax(
                matrix,
                problem.classes,
                problem.n_classes,
                [scalings[fold] for fold in group],
                np.stack([problem.row_weights(fold) for fold in group]),
            )
            for group in self._groups
        ]
        self.restart()

    def restart(self) -> None:
        """Start the next fit at zero weights."""
        self._last = [np.zeros(joint.shape, dtype=np.float32) for joint in self._joints]
        self._before: list[np.ndarray] | None = None

    def fit(self, penalty: float) -> np.ndarray:
        """Fit every fold; return confusion matrices on its held-out rows, [n_folds, K, K]. penalty: 1 / C."""
        problem = self._problem
        starts = [
            extrapolate(last, None if self._before is None else self._before[place])
            for place, last in enumerate(self._last)
        ]
        self._before = self._last
        self._last = [minimise(joint, penalty, start) for joint, start in zip(self._joints, starts, strict=True)]
        counts = np.zeros((problem.n_folds, problem.n_classes, problem.n_classes), dtype=np.int64)
        for group, joint, weights in zip(self._groups, self._joints, self._last, strict=True):
            predicted = joint.margins(weights, np.arange(len(group))).argmax(axis=2)
            for place, fold in enumerate(group):
                held_out = problem.held_out(fold)
                counts[fold] = confusion(problem.classes[held_out], predicted[held_out, place], problem.n_classes)
        return counts

    def mean_weights(self) -> np.ndarray:
        """Return the folds' mean weights at the last penalty, [n_features + 1, K], intercepts last."""
        mean = np.concatenate(self._last, axis=1).mean(axis=1)
        weights = np.zeros((self._problem.matrix.shape[1] + 1, mean.shape[1]), dtype=np.float32)
        weights[[*self._used, -1]] = mean
        return weights


def _mean_f1(counts: np.ndarray) -> float:
    return float(macro_f1(counts).mean())


def _mean_square_length(scaling: FoldScaling, matrix: Matrix) -> float:
    scaled = scaling.apply(matrix)
    values: np.ndarray = scaled if isinstance(scaled, np.ndarray) else scaled.data
    n_rows: int = matrix.shape[0]
    return float(np.vdot(values, values)) / n_rows


def _groups(n_problems: int, weights_each: int) -> Sequence[list[int]]:
    """Return groups of problems to fit together; smaller for wide SAEs with many classes, to bound memory."""
    size = max(1, _MOST_WEIGHTS // weights_each)
    return [list(range(start, min(start + size, n_problems))) for start in range(0, n_problems, size)]
