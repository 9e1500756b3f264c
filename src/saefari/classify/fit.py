"""Search and fit the classifiers of one setting; test rows are used for the final predictions only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from saefari.classify.confusion import accuracy, confusion, macro_f1
from saefari.classify.feature_importance import linear_features, tree_features, tree_nodes
from saefari.classify.feature_sources import FeatureSet
from saefari.classify.linear import LinearSearch, fit_linear, search_linear
from saefari.classify.problem import Problem
from saefari.classify.task import Task
from saefari.classify.tree import TreeSearch, fit_tree, screen, search_tree
from saefari.errors import DataError


@dataclass(frozen=True)
class FittedClassifier:
    """One fitted classifier of one setting.

    probabilities: float64 [n_test, K]. fold_scores, fold_accuracies: macro-F1 and accuracy of the chosen candidate on
    each fold. details: JSON-able record of the search and of the most important features.
    """

    name: str
    estimator: Any
    probabilities: np.ndarray
    fold_scores: list[float]
    fold_accuracies: list[float]
    n_features: int
    details: dict[str, Any]
    seconds: float


def make_problem(features: FeatureSet, task: Task, class_weight: Any, seed: int) -> Problem:
    """Return the training problem of a setting. Raises DataError if no feature varies over the training rows."""
    n_folds = int(task.folds.max()) + 1
    scaling = features.fit_scaling(np.arange(len(task.train)))
    if len(scaling.columns) == 0:
        raise DataError("no feature varies over the training rows, so this setting cannot be classified")
    fold_scalings = [features.fit_scaling(np.flatnonzero(task.folds != fold)) for fold in range(n_folds)]
    return Problem(
        features.matrix, task.train_classes, len(task.names), task.folds, scaling, fold_scalings, class_weight, seed
    )


def fit_linear_probe(choices: Sequence[tuple[FeatureSet, Problem]], task: Task) -> FittedClassifier:
    """Choose features and penalty by cross-validation, then fit the probe on all training rows.

    choices: alternative features of one setting; cross-validation chooses one, the first of equals.
    """
    started = time.perf_counter()
    searches = [search_linear(problem) for _, problem in choices]
    chosen = int(np.argmax([search.scores[search.best].mean() for search in searches]))
    search, (features, problem) = searches[chosen], choices[chosen]
    columns = problem.scaling.columns
    preparation = Pipeline(features.linear_steps(columns) or [("as_is", "passthrough")])  # the name is stored
    probe = fit_linear(search, preparation.fit_transform(features.train), problem)
    estimator = Pipeline([*preparation.steps, ("probe", probe)])
    candidates = [
        {"C": penalty, **tried.chosen, "folds": scores}
        for one, (tried, _) in zip(searches, choices, strict=True)
        for penalty, scores in zip(one.penalties, one.scores.tolist(), strict=True)
    ]
    details = {
        "chosen": {"C": search.penalties[search.best], **features.chosen},
        "candidates": candidates,
        "top_features": linear_features(probe, columns, features.names, task.names),
    }
    return _fitted("linear", estimator, search, features, problem, details, started)


def fit_decision_tree(features: FeatureSet, problem: Problem, task: Task, max_depth: int) -> FittedClassifier:
    """Choose the settings by cross-validation, then fit the tree on all training rows."""
    started = time.perf_counter()
    search = search_tree(problem, max_depth)
    scaled = problem.scaling.apply(problem.matrix)
    columns = problem.scaling.columns[screen(scaled, problem.classes)]
    preparation = Pipeline(features.tree_steps(columns))
    selected = preparation.fit_transform(features.train)
    tree = fit_tree(search.chosen, selected, problem)
    estimator = Pipeline([*preparation.steps, ("tree", tree)])
    candidates = [asdict(s) | {"folds": f} for s, f in zip(search.settings, search.scores.tolist(), strict=True)]
    details = {
        "chosen": asdict(search.chosen) | features.chosen,
        "candidates": candidates,
        "top_features": tree_features(tree, selected, problem.classes, columns, features.names, task.names),
        "nodes": tree_nodes(tree, columns, features.names, problem.n_classes),
    }
    return _fitted("tree", estimator, search, features, problem, details, started)


def _fitted(
    name: str,
    estimator: Pipeline,
    search: LinearSearch | TreeSearch,
    features: FeatureSet,
    problem: Problem,
    details: dict[str, Any],
    started: float,
) -> FittedClassifier:
    """Collect the outcome of a search; started: a `time.perf_counter` value."""
    return FittedClassifier(
        name,
        estimator,
        estimator.predict_proba(features.test),
        search.scores[search.best].tolist(),
        search.accuracies[search.best].tolist(),
        len(problem.scaling.columns),
        details,
        time.perf_counter() - started,
    )


def fit_majority(task: Task) -> FittedClassifier:
    """Fit the baseline that always predicts the most frequent class of the training rows."""
    started = time.perf_counter()
    n_folds = int(task.folds.max()) + 1
    counts = np.zeros((n_folds, len(task.names), len(task.names)), dtype=np.int64)
    for fold in range(n_folds):
        held_out = task.train_classes[task.folds == fold]
        guess = np.bincount(task.train_classes[task.folds != fold]).argmax()
        counts[fold] = confusion(held_out, np.full_like(held_out, guess), len(task.names))
    nothing = np.zeros((len(task.train), 1))
    estimator = DummyClassifier(strategy="most_frequent").fit(nothing, task.train_classes)
    probabilities = estimator.predict_proba(np.zeros((len(task.test), 1)))
    scores, accuracies = macro_f1(counts).tolist(), accuracy(counts).tolist()
    return FittedClassifier(
        "majority", estimator, probabilities, scores, accuracies, 0, {}, time.perf_counter() - started
    )
