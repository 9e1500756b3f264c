"""The joint solver against scikit-learn fold by fold, and the search built on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from saefari.classify import linear, solver
from saefari.classify.linear import fit_linear, search_linear
from saefari.classify.problem import Problem
from saefari.classify.solver import JointSoftmax
from saefari.classify.splits import make_folds
from saefari.classify.views import Matrix, standardised, tfidf_weighted


def make_problem(form: str = "sparse", n_classes: int = 4, n_rows: int = 160, weight: Any = None) -> Problem:
    generator = np.random.default_rng(0)
    classes = np.arange(n_rows) % n_classes
    classes[: n_rows // 10] = 0
    dense = generator.random((n_rows, 12)) * (generator.random((n_rows, 12)) < 0.6) * 2
    dense[np.arange(n_rows), classes % 12] += 3 * generator.random(n_rows)
    matrix: Matrix = dense.astype(np.float32)
    if form != "dense":
        matrix = sparse.csr_array(matrix)
    folds = make_folds(classes, np.arange(n_rows), 3, seed=0)

    def view(rows: np.ndarray) -> Any:
        return tfidf_weighted(matrix, rows, 2) if form == "terms" else standardised(matrix, rows)

    views = [view(np.flatnonzero(folds != fold)) for fold in range(3)]
    return Problem(matrix, classes, n_classes, folds, view(np.arange(n_rows)), views, weight, seed=0)


@pytest.fixture
def converged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "_STEPS_PER_PENALTY", 500)
    monkeypatch.setattr(solver, "_LOSS_TOLERANCE", 1e-10)


@pytest.mark.usefixtures("converged")
@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("form", ["sparse", "dense", "terms"])
def test_every_fold_gets_the_weights_that_scikit_learn_finds(form: str, weight: str | None) -> None:
    problem = make_problem(form, weight=weight)
    row_weights = np.stack([problem.row_weights(fold) for fold in range(3)])
    joint = JointSoftmax(problem.matrix, problem.classes, problem.n_classes, problem.fold_views, row_weights)
    fitted = list(joint.path([10.0, 1.0]))[-1]
    margins = joint.margins(fitted)
    for fold, view in enumerate(problem.fold_views):
        train, viewed = problem.kept_in(fold), view.apply(problem.matrix)
        alone = LogisticRegression(C=1.0, class_weight=weight, max_iter=2000, tol=1e-8)
        alone.fit(viewed[train], problem.classes[train])
        np.testing.assert_allclose(fitted.coef[view.columns, fold].T, alone.coef_, atol=5e-3)
        expected = alone.decision_function(viewed)
        found = margins[:, fold] - margins[:, fold].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected - expected.mean(axis=1, keepdims=True), atol=0.02)


def test_labels_of_held_out_rows_do_not_reach_their_fold() -> None:
    problem = make_problem()
    held = problem.held_out(1)
    poisoned = problem.classes.copy()
    poisoned[held] = (poisoned[held] + 1) % 4
    weights = problem.row_weights(1)[None]
    fits = [
        next(JointSoftmax(problem.matrix, classes, 4, [problem.fold_views[1]], weights).path([1.0]))
        for classes in (problem.classes, poisoned)
    ]
    np.testing.assert_array_equal(fits[0].coef, fits[1].coef)


@pytest.mark.usefixtures("converged")
@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_final_probe_is_the_optimum_at_the_chosen_penalty(n_classes: int) -> None:
    problem = make_problem(n_classes=n_classes)
    search = search_linear(problem)
    features = problem.view.apply(problem.matrix)
    probe = fit_linear(search, features, problem)
    alone = LogisticRegression(C=probe.C, max_iter=5000, tol=1e-8).fit(features, problem.classes)
    np.testing.assert_allclose(probe.predict_proba(features), alone.predict_proba(features), atol=0.01)
    assert probe.coef_.shape == (1 if n_classes == 2 else n_classes, len(problem.view.columns))
    start = search.coef.T[1:] - search.coef.T[:1] if n_classes == 2 else search.coef.T
    np.testing.assert_allclose(start, probe.coef_, atol=0.05 * np.abs(probe.coef_).max())
    assert search.best == search.scores.mean(axis=1).argmax()
    assert (search.scores[search.best] > 0.5).all()


@pytest.mark.usefixtures("converged")
def test_fitting_folds_apart_gives_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem()
    together = search_linear(problem)
    monkeypatch.setattr(linear, "_MOST_WEIGHTS", 1)
    apart = search_linear(problem)
    np.testing.assert_allclose(together.scores, apart.scores, atol=0.03)
    np.testing.assert_allclose(together.coef, apart.coef, atol=0.02 * np.abs(apart.coef).max())


def test_seventy_seven_classes() -> None:
    generator = np.random.default_rng(0)
    classes = np.arange(77 * 12) % 77
    dense = (generator.random((len(classes), 154)) < 0.01).astype(np.float32)
    dense[np.arange(len(classes)), classes] += 3
    matrix = sparse.csr_array(dense)
    folds = make_folds(classes, np.arange(len(classes)), 3, seed=0)
    views = [standardised(matrix, np.flatnonzero(folds != fold)) for fold in range(3)]
    problem = Problem(matrix, classes, 77, folds, standardised(matrix, np.arange(len(classes))), views, None, seed=0)
    search = search_linear(problem)
    assert search.scores[search.best].mean() > 0.9
    probe = fit_linear(search, problem.view.apply(matrix), problem)
    assert probe.coef_.shape == (77, 154)
