"""Trees of all depths from one tree, against trees grown separately."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.tree import DecisionTreeClassifier

from saefari.classify import tree as tree_module
from saefari.classify.confusion import confusion, macro_f1
from saefari.classify.fold_scaling import standardised
from saefari.classify.folds import make_folds
from saefari.classify.problem import Problem
from saefari.classify.tree import fit_tree, predict_by_depth, screen, search_tree


def make_problem(form: str = "sparse", weight: str | None = None) -> Problem:
    """Continuous features: no two splits are equally good, so the order of candidates does not matter."""
    generator = np.random.default_rng(3)
    classes = generator.integers(0, 3, size=240)
    dense = generator.random((240, 10)).astype(np.float32)
    dense[:, :3] += 0.5 * np.eye(3, dtype=np.float32)[classes]
    matrix = dense if form == "dense" else sparse.csr_array(dense)
    folds = make_folds(classes, np.arange(240), 3, seed=0)
    scalings = [standardised(matrix, np.flatnonzero(folds != fold)) for fold in range(3)]
    return Problem(matrix, classes, 3, folds, standardised(matrix, np.arange(240)), scalings, weight, seed=0)  # type: ignore[arg-type]


def test_every_depth_equals_a_tree_grown_to_it() -> None:
    problem = make_problem("dense")
    deep = DecisionTreeClassifier(max_depth=6, random_state=0).fit(problem.matrix, problem.classes)
    for depth, predicted in enumerate(predict_by_depth(deep, problem.matrix, 6), start=1):
        alone = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(problem.matrix, problem.classes)
        np.testing.assert_array_equal(predicted, alone.predict(problem.matrix))


def test_a_root_without_splits_predicts_the_majority_at_every_depth() -> None:
    stump = DecisionTreeClassifier().fit(np.zeros((5, 1)), [1, 1, 1, 0, 0])
    assert [p.tolist() for p in predict_by_depth(stump, np.zeros((2, 1), np.float32), 2)] == [[1, 1], [1, 1]]


@pytest.mark.parametrize("weight", [None, "balanced"])
def test_search_scores_equal_those_of_separate_fits(weight: str | None) -> None:
    problem = make_problem(weight=weight)
    search = search_tree(problem, max_depth=4)
    for place in (0, 3, 9, len(search.settings) - 1):
        setting = search.settings[place]
        for fold in range(3):
            train, held = problem.training_rows(fold), problem.held_out(fold)
            alone = DecisionTreeClassifier(
                criterion=setting.criterion,
                max_depth=setting.max_depth,
                min_samples_leaf=setting.min_samples_leaf,
                class_weight=weight,
                random_state=0,
            ).fit(problem.matrix[train].toarray(), problem.classes[train])
            predicted = alone.predict(problem.matrix[held].toarray())
            expected = macro_f1(confusion(problem.classes[held], predicted, 3))
            assert search.scores[place, fold] == pytest.approx(expected, abs=0.03)
    assert search.best == search.scores.mean(axis=1).argmax()
    assert search.chosen.max_depth <= 4


def test_rounding_dense_features_hardly_changes_scores() -> None:
    exact = search_tree(make_problem("sparse"), 4).scores.mean(axis=1).max()
    rounded = search_tree(make_problem("dense"), 4).scores.mean(axis=1).max()
    assert rounded == pytest.approx(exact, abs=0.04)


def test_screening_uses_training_rows_of_the_fold_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "SCREENED", 1)
    problem = make_problem()
    leaked = problem.matrix.toarray()
    held = problem.held_out(0)
    leaked[held, 9] = 10 * problem.classes[held]  # separates the classes perfectly, in held-out rows alone
    seen: list[np.ndarray] = []
    original = tree_module.select_k
    monkeypatch.setattr(
        tree_module, "select_k", lambda features, classes, *a: seen.append(classes) or original(features, classes, *a)
    )
    poisoned = Problem(
        sparse.csr_array(leaked),
        problem.classes,
        3,
        problem.folds,
        problem.scaling,
        problem.fold_scalings,
        None,
        seed=0,
    )
    clean_score = search_tree(problem, 2).scores[:, 0]
    np.testing.assert_array_equal(search_tree(poisoned, 2).scores[:, 0], clean_score)
    np.testing.assert_array_equal(seen[0], problem.classes[problem.training_rows(0)])


def test_the_final_tree_uses_the_chosen_setting() -> None:
    problem = make_problem()
    search = search_tree(problem, 3)
    columns = screen(problem.matrix, problem.classes)
    tree = fit_tree(search.chosen, problem.matrix[:, columns], problem)
    assert tree.get_depth() <= search.chosen.max_depth
    assert tree.min_samples_leaf == search.chosen.min_samples_leaf


def test_a_fold_in_which_no_feature_varies_predicts_its_majority() -> None:
    """Only a row of the other fold has an active feature."""
    classes, folds = np.array([0, 0, 1, 0, 0, 1]), np.array([0, 0, 0, 1, 1, 1])
    matrix = sparse.csr_array(np.array([[1.0], [0], [0], [0], [0], [0]], dtype=np.float32))
    scalings = [standardised(matrix, np.flatnonzero(folds != fold)) for fold in range(2)]
    assert [len(scaling.columns) for scaling in scalings] == [0, 1]
    problem = Problem(matrix, classes, 2, folds, standardised(matrix, np.arange(6)), scalings, None, seed=0)  # type: ignore[arg-type]
    search = search_tree(problem, max_depth=2)
    assert search.accuracies[:, 0] == pytest.approx(2 / 3)
