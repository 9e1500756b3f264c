"""Fit every classifier of one feature matrix; only the final estimators ever see a test row."""

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
    """One classifier of one setting.

    probabilities: float64 [n_test, K]. fold_scores, fold_accuracies: macro-F1 and accuracy of the chosen candidate on
    each fold.
    details: JSON-able record of the search and of what the classifier reads.
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
    """The training side of a setting. Raises DataError when no feature differs between training rows."""
    n_folds = int(task.folds.max()) + 1
    view = features.view(np.arange(len(task.train)))
    if len(view.columns) == 0:
        raise DataError("no feature varies over the training rows: nothing to classify by with this setting")
    fold_views = [features.view(np.flatnonzero(task.folds != fold)) for fold in range(n_folds)]
    return Problem(
        features.matrix, task.train_classes, len(task.names), task.folds, view, fold_views, class_weight, seed
    )


def fit_linear_probe(choices: Sequence[tuple[FeatureSet, Problem]], task: Task) -> FittedClassifier:
    """Search, then the chosen probe on all training rows.

    choices: ways to make the features of one setting; cross-validation chooses among them, the first of equals.
    """
    started = time.perf_counter()
    searches = [search_linear(problem) for _, problem in choices]
    chosen = int(np.argmax([search.scores[search.best].mean() for search in searches]))
    search, (features, problem) = searches[chosen], choices[chosen]
    columns = problem.view.columns
    preparation = Pipeline(features.linear_steps(columns) or [("as_is", "passthrough")])
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
    """Search, then the chosen tree on all training rows."""
    started = time.perf_counter()
    search = search_tree(problem, max_depth)
    viewed = problem.view.apply(problem.matrix)
    columns = problem.view.columns[screen(viewed, problem.classes)]
    preparation = Pipeline(features.tree_steps(columns))
    offered = preparation.fit_transform(features.train)
    tree = fit_tree(search.chosen, offered, problem)
    estimator = Pipeline([*preparation.steps, ("tree", tree)])
    candidates = [asdict(s) | {"folds": f} for s, f in zip(search.settings, search.scores.tolist(), strict=True)]
    details = {
        "chosen": asdict(search.chosen) | features.chosen,
        "candidates": candidates,
        "top_features": tree_features(tree, offered, problem.classes, columns, features.names, task.names),
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
    """What a search ended with; started: on the clock of `time.perf_counter`."""
    return FittedClassifier(
        name,
        estimator,
        estimator.predict_proba(features.test),
        search.scores[search.best].tolist(),
        search.accuracies[search.best].tolist(),
        len(problem.view.columns),
        details,
        time.perf_counter() - started,
    )


def fit_majority(task: Task) -> FittedClassifier:
    """Always the most frequent class of the training rows."""
    started = time.perf_counter()
    n_folds = int(task.folds.max()) + 1
    counts = np.zeros((n_folds, len(task.names), len(task.names)), dtype=np.int64)
    for fold in range(n_folds):
        held = task.train_classes[task.folds == fold]
        guess = np.bincount(task.train_classes[task.folds != fold]).argmax()
        counts[fold] = confusion(held, np.full_like(held, guess), len(task.names))
    nothing = np.zeros((len(task.train), 1))
    estimator = DummyClassifier(strategy="most_frequent").fit(nothing, task.train_classes)
    probabilities = estimator.predict_proba(np.zeros((len(task.test), 1)))
    scores, accuracies = macro_f1(counts).tolist(), accuracy(counts).tolist()
    return FittedClassifier(
        "majority", estimator, probabilities, scores, accuracies, 0, {}, time.perf_counter() - started
    )
