"""The linear probe: L2 logistic regression, its penalty chosen by cross-validated macro-F1."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from saefari.classify.metrics import confusion, macro_f1
from saefari.classify.problem import Problem
from saefari.classify.solver import JointSoftmax
from saefari.classify.views import Matrix, View

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""Candidates for C times the mean squared length of a row, so that they mean the same for every feature source."""
_MOST_WEIGHTS = 4_000_000
_MAX_STEPS = 200
_GRADIENT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class LinearSearch:
    """What cross-validation found.

    penalties: the candidates for C [n_candidates]; scores: macro-F1 [n_candidates, n_folds]; best: index of the chosen.
    coef [n_kept, K], intercept [K]: start of the final fit on all training rows, in that view's units.
    """

    penalties: list[float]
    scores: np.ndarray
    best: int
    coef: np.ndarray
    intercept: np.ndarray


def search_linear(problem: Problem) -> LinearSearch:
    """Fit every candidate on every fold and on all training rows; the best mean macro-F1 wins, then the smaller C."""
    views = [*problem.fold_views, problem.view]
    used = np.flatnonzero(np.any([view.scale for view in views], axis=0))
    matrix, views = problem.matrix[:, used], [view.restricted(used) for view in views]
    kept = views[-1].columns
    row_weights = np.stack([problem.row_weights(fold) for fold in [*range(problem.n_folds), None]])
    penalties = [strength / _mean_square_length(problem.view, problem.matrix) for strength in STRENGTHS]
    scores = np.zeros((len(penalties), problem.n_folds))
    starts: list[tuple[np.ndarray, np.ndarray]] = []
    for group in _groups(len(views), len(used) * problem.n_classes):
        joint = JointSoftmax(matrix, problem.classes, problem.n_classes, [views[i] for i in group], row_weights[group])
        for candidate, fitted in enumerate(joint.path([1 / penalty for penalty in penalties])):
            predicted = joint.margins(fitted).argmax(axis=2)
            for place, fold in enumerate(group):
                if fold == problem.n_folds:
                    starts.append((fitted.coef[kept, place], fitted.intercept[place]))
                else:
                    held = problem.held_out(fold)
                    hits = confusion(problem.classes[held], predicted[held, place], problem.n_classes)
                    scores[candidate, fold] = macro_f1(hits)
    best = int(scores.mean(axis=1).argmax())
    return LinearSearch(penalties, scores, best, *starts[best])


def fit_linear(search: LinearSearch, features: Matrix, problem: Problem) -> LogisticRegression:
    """The chosen probe, fitted to convergence on all training rows.

    features: [n_rows, n_kept], the kept columns as `problem.view` sees them.
    """
    two = problem.n_classes == 2
    # scikit-learn fits two classes with one weight vector; twice the C gives the same penalised probabilities.
    probe = LogisticRegression(
        C=search.penalties[search.best] * (2 if two else 1),
        class_weight=problem.class_weight,
        max_iter=_MAX_STEPS,
        tol=_GRADIENT_TOLERANCE,
        warm_start=True,
    )
    coef, intercept = search.coef.T, search.intercept
    probe.classes_ = np.arange(problem.n_classes)
    probe.coef_ = coef[1:] - coef[:1] if two else coef
    probe.intercept_ = intercept[1:] - intercept[:1] if two else intercept
    with warnings.catch_warnings():
        # The search is near the optimum already; what max_iter leaves changes no prediction that matters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(features, problem.classes)
    return probe


def _mean_square_length(view: View, matrix: Matrix) -> float:
    viewed = view.apply(matrix)
    values: np.ndarray = viewed if isinstance(viewed, np.ndarray) else viewed.data
    n_rows: int = matrix.shape[0]
    return float(np.vdot(values, values)) / n_rows


def _groups(n_problems: int, weights_each: int) -> Sequence[list[int]]:
    """Problems to fit together, so that wide SAEs with many classes do not fill the memory."""
    size = max(1, _MOST_WEIGHTS // weights_each)
    return [list(range(start, min(start + size, n_problems))) for start in range(0, n_problems, size)]
