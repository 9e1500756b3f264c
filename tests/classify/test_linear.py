"""The joint solver against scikit-learn at full convergence, fold by fold, and the search built on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from saefari.classify import linear
from saefari.classify.confusion import confusion, macro_f1
from saefari.classify.fold_scaling import Matrix, standardised, tfidf_weighted
from saefari.classify.folds import make_folds
from saefari.classify.linear import HIGHEST_EXPONENT, INITIAL_EXPONENTS, LOWEST_EXPONENT, fit_linear, search_linear
from saefari.classify.newton import minimise
from saefari.classify.problem import Problem
from saefari.classify.solver import JointSoftmax

ALL = np.arange(3)


def make_problem(
    form: str = "sparse", n_classes: int = 4, n_rows: int = 160, weight: Any = None, n_features: int = 12
) -> Problem:
    generator = np.random.default_rng(0)
    classes = np.arange(n_rows) % n_classes
    classes[: n_rows // 10] = 0
    size = (n_rows, n_features)
    dense = generator.random(size) * (generator.random(size) < 0.6) * 2
    dense[np.arange(n_rows), classes % n_features] += 3 * generator.random(n_rows)
    matrix: Matrix = dense.astype(np.float32)
    if form != "dense":
        matrix = sparse.csr_array(matrix)
    folds = make_folds(classes, np.arange(n_rows), 3, seed=0)

    def scaling(rows: np.ndarray) -> Any:
        return tfidf_weighted(matrix, rows, 2) if form == "terms" else standardised(matrix, rows)

    scalings = [scaling(np.flatnonzero(folds != fold)) for fold in range(3)]
    return Problem(matrix, classes, n_classes, folds, scaling(np.arange(n_rows)), scalings, weight, seed=0)


def converged_alone(problem: Problem, fold: int, penalty: float) -> tuple[LogisticRegression, Any]:
    """scikit-learn's fit of one fold at C = penalty, and the scaled matrix of the fold."""
    train = problem.training_rows(fold)
    scaled = problem.fold_scalings[fold].apply(problem.matrix).astype(np.float64)
    twice = 2 if problem.n_classes == 2 else 1
    alone = LogisticRegression(C=twice * penalty, class_weight=problem.class_weight, max_iter=10_000, tol=1e-8)
    return alone.fit(scaled[train], problem.classes[train]), scaled


@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("form", ["sparse", "dense", "terms"])
def test_weights_of_every_fold_equal_scikit_learns(form: str, weight: str | None) -> None:
    problem = make_problem(form, weight=weight)
    row_weights = np.stack([problem.row_weights(fold) for fold in range(3)])
    joint = JointSoftmax(problem.matrix, problem.classes, problem.n_classes, problem.fold_scalings, row_weights)
    weights = minimise(joint, 1.0, np.zeros(joint.shape), tolerance=1e-7)
    margins = joint.margins(weights, ALL)
    for fold, scaling in enumerate(problem.fold_scalings):
        alone, scaled = converged_alone(problem, fold, 1.0)
        np.testing.assert_allclose(weights[scaling.columns, fold].T, alone.coef_, atol=2e-3)
        expected = alone.decision_function(scaled)
        found = margins[:, fold] - margins[:, fold].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected - expected.mean(axis=1, keepdims=True), atol=5e-3)


@pytest.mark.parametrize(
    ("form", "n_classes", "n_features"),
    [("terms", 3, 150), ("terms", 2, 150), ("sparse", 4, 60), ("dense", 3, 12)],
)
def test_scores_of_candidates_equal_those_at_full_convergence(
    form: str, n_classes: int, n_features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Includes separable classes with a large C, which need the most steps."""
    monkeypatch.setattr(linear, "INITIAL_EXPONENTS", range(-2, 7))
    problem = make_problem(form, n_classes, n_rows=1500, n_features=n_features)
    search = search_linear(problem)
    length = linear._mean_square_length(problem.scaling, problem.matrix)
    assert max(search.penalties) * length >= 999
    for penalty, scores in list(zip(search.penalties, search.scores, strict=True))[::4]:
        converged = []
        for fold in range(3):
            held = problem.held_out(fold)
            alone, scaled = converged_alone(problem, fold, penalty)
            converged.append(macro_f1(confusion(problem.classes[held], alone.predict(scaled[held]), n_classes)))
        assert scores.mean() == pytest.approx(np.mean(converged), abs=0.004), f"C {penalty:.3g}"


def test_labels_of_held_out_rows_do_not_affect_their_fold() -> None:
    problem = make_problem()
    held = problem.held_out(1)
    poisoned = problem.classes.copy()
    poisoned[held] = (poisoned[held] + 1) % 4
    weights = problem.row_weights(1)[None]
    joints = [
        JointSoftmax(problem.matrix, classes, 4, [problem.fold_scalings[1]], weights)
        for classes in (problem.classes, poisoned)
    ]
    fits = [minimise(joint, 1.0, np.zeros(joint.shape)) for joint in joints]
    np.testing.assert_array_equal(*fits)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_final_probe_is_the_optimum_at_the_chosen_penalty(n_classes: int) -> None:
    problem = make_problem(n_classes=n_classes)
    search = search_linear(problem)
    features = problem.scaling.apply(problem.matrix)
    probe = fit_linear(search, features, problem)
    alone = LogisticRegression(C=probe.C, max_iter=10_000, tol=1e-8)
    alone.fit(features.astype(np.float64), problem.classes)
    np.testing.assert_allclose(probe.predict_proba(features), alone.predict_proba(features), atol=1e-3)
    np.testing.assert_allclose(probe.coef_, alone.coef_, atol=2e-3 * np.abs(alone.coef_).max())
    assert probe.coef_.shape == (1 if n_classes == 2 else n_classes, len(problem.scaling.columns))
    assert search.best == search.scores.mean(axis=1).argmax()
    assert (search.scores[search.best] > 0.5).all()


def test_fitting_folds_separately_gives_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem()
    together = search_linear(problem)
    monkeypatch.setattr(linear, "_MOST_WEIGHTS", 1)
    apart = search_linear(problem)
    np.testing.assert_allclose(together.scores, apart.scores, atol=0.01)
    np.testing.assert_allclose(together.start, apart.start, atol=0.02 * np.abs(apart.start).max())


@pytest.mark.parametrize(
    ("rising", "first", "last"),
    [
        (lambda exponent: -abs(exponent - 2), INITIAL_EXPONENTS[0], INITIAL_EXPONENTS[-1]),
        (lambda exponent: -abs(exponent - 3), INITIAL_EXPONENTS[0], 5),
        (lambda exponent: -abs(exponent - 7), INITIAL_EXPONENTS[0], 9),
        (lambda exponent: -abs(exponent + 5), -7, INITIAL_EXPONENTS[-1]),
        (lambda exponent: exponent, INITIAL_EXPONENTS[0], HIGHEST_EXPONENT),
        (lambda exponent: -exponent, LOWEST_EXPONENT, INITIAL_EXPONENTS[-1]),
        (lambda exponent: min(exponent, 2), INITIAL_EXPONENTS[0], INITIAL_EXPONENTS[-1]),
        (lambda exponent: 0, LOWEST_EXPONENT, INITIAL_EXPONENTS[-1]),
    ],
    ids=["inside", "next to an edge", "above", "below", "ever higher", "ever lower", "equal from 2 on", "all equal"],
)
def test_the_search_ends_with_two_candidates_beyond_the_best(
    rising: Any, first: int, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem()
    length = linear._mean_square_length(problem.scaling, problem.matrix)

    def fit(self: Any, penalty: float) -> np.ndarray:
        exponent = round(2 * np.log10(length / penalty))
        hits = 500 + 10 * rising(exponent)
        return np.tile(np.array([[hits, 1000 - hits], [1000 - hits, hits]]), (3, 1, 1))

    monkeypatch.setattr(linear._PenaltyPath, "fit", fit)
    search = search_linear(problem)
    exponents = [round(2 * np.log10(penalty * length)) for penalty in search.penalties]
    assert exponents == list(range(first, last + 1))
    assert exponents[search.best] == max(exponents, key=rising), "of equal candidates the smallest C"


def test_seventy_seven_classes() -> None:
    generator = np.random.default_rng(0)
    classes = np.arange(77 * 12) % 77
    dense = (generator.random((len(classes), 154)) < 0.01).astype(np.float32)
    dense[np.arange(len(classes)), classes] += 3
    matrix = sparse.csr_array(dense)
    folds = make_folds(classes, np.arange(len(classes)), 3, seed=0)
    scalings = [standardised(matrix, np.flatnonzero(folds != fold)) for fold in range(3)]
    problem = Problem(matrix, classes, 77, folds, standardised(matrix, np.arange(len(classes))), scalings, None, seed=0)
    search = search_linear(problem)
    assert search.scores[search.best].mean() > 0.9
    probe = fit_linear(search, problem.scaling.apply(matrix), problem)
    assert probe.coef_.shape == (77, 154)
