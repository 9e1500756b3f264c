"""The decision tree: depth and other settings chosen by cross-validated macro-F1."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import sparse
from sklearn.tree import DecisionTreeClassifier

from saefari.classify.confusion import accuracy, confusion, macro_f1
from saefari.classify.features import select_k
from saefari.classify.fold_scaling import Matrix
from saefari.classify.problem import Problem

CRITERIA = ("gini", "entropy")
MIN_SAMPLES_LEAF = (1, 5, 20)
SCREENED = 256
"""A tree of a few levels uses a few features; only the ones that separate the classes best are offered to it."""
SCREENED_DENSE = 64
_LEVELS_PER_DEVIATION = 8


@dataclass(frozen=True)
class TreeSetting:
    """One candidate."""

    criterion: str
    min_samples_leaf: int
    max_depth: int


@dataclass(frozen=True)
class TreeSearch:
    """What cross-validation found: settings [n], their macro-F1 and accuracy [n, n_folds], the index of the chosen."""

    settings: list[TreeSetting]
    scores: np.ndarray
    accuracies: np.ndarray
    best: int

    @property
    def chosen(self) -> TreeSetting:
        return self.settings[self.best]


def search_tree(problem: Problem, max_depth: int) -> TreeSearch:
    """Score every criterion, leaf size and depth on every fold; the best mean wins, then the earlier setting.

    Every depth is read off one tree grown to max_depth: its upper levels are the shallower tree.
    """
    grown = list(product(CRITERIA, MIN_SAMPLES_LEAF))
    k = problem.n_classes
    counts = np.zeros((len(grown), max_depth, problem.n_folds, k, k), dtype=np.int64)
    for fold, view in enumerate(problem.fold_views):
        train, held = problem.kept_in(fold), problem.held_out(fold)
        viewed = _rounded(view.apply(problem.matrix))  # a tree sees order only: the view's scaling changes nothing
        if viewed.shape[1] == 0:
            viewed = np.zeros((len(problem.classes), 1), dtype=np.float32)  # nothing varies: the tree is its root
        columns = screen(viewed[train], problem.classes[train])
        train_features, held_features = (
            tree_input(viewed[train][:, columns]),
            tree_input(viewed[held][:, columns]),
        )
        for i, (criterion, leaf) in enumerate(grown):
            tree = _new_tree(TreeSetting(criterion, leaf, max_depth), problem)
            tree.fit(train_features, problem.classes[train])
            for depth, predicted in enumerate(predict_by_depth(tree, held_features, max_depth)):
                counts[i, depth, fold] = confusion(problem.classes[held], predicted, k)
    settings = [TreeSetting(criterion, leaf, depth + 1) for criterion, leaf in grown for depth in range(max_depth)]
    flat = counts.reshape(len(settings), problem.n_folds, k, k)
    scores = macro_f1(flat)
    return TreeSearch(settings, scores, accuracy(flat), int(scores.mean(axis=1).argmax()))


def screen(features: Matrix, classes: np.ndarray) -> np.ndarray:
    """Ascending indices of the features that are offered to a tree; give training rows only."""
    return select_k(features, classes, SCREENED_DENSE if isinstance(features, np.ndarray) else SCREENED)


def fit_tree(setting: TreeSetting, features: Matrix, problem: Problem) -> DecisionTreeClassifier:
    """The chosen tree on all training rows; features: [n_rows, n_screened]."""
    return _new_tree(setting, problem).fit(tree_input(features), problem.classes)


def predict_by_depth(tree: DecisionTreeClassifier, features: Matrix, max_depth: int) -> list[np.ndarray]:
    """Predicted classes of the tree cut at depth 1, 2, … max_depth, each int [n_rows]."""
    structure = tree.tree_
    parent = np.zeros(structure.node_count, dtype=np.int64)
    level = np.zeros(structure.node_count, dtype=np.int64)
    for node in range(structure.node_count):  # children always come after their parent
        for child in (structure.children_left[node], structure.children_right[node]):
            if child >= 0:
                parent[child], level[child] = node, level[node] + 1
    majority = tree.classes_[structure.value[:, 0].argmax(axis=1)]
    node = tree.apply(features)
    by_depth = []
    for depth in range(max_depth, 0, -1):
        node = np.where(level[node] > depth, parent[node], node)
        by_depth.append(majority[node])
    return by_depth[::-1]


def tree_input(features: Matrix) -> Matrix | sparse.csr_matrix:
    """Features in the form that scikit-learn's trees take: 32-bit indices."""
    if isinstance(features, np.ndarray):
        return features
    return sparse.csr_matrix(
        (features.data, features.indices.astype(np.int32), features.indptr.astype(np.int32)),
        shape=features.shape,
    )


def _rounded(viewed: Matrix) -> Matrix:
    """Dense features, in standard deviations, to an eighth of one: far fewer thresholds to try, equally good splits."""
    if not isinstance(viewed, np.ndarray):
        return viewed
    return np.round(viewed * _LEVELS_PER_DEVIATION) / _LEVELS_PER_DEVIATION


def _new_tree(setting: TreeSetting, problem: Problem) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(
        criterion=setting.criterion,
        max_depth=setting.max_depth,
        min_samples_leaf=setting.min_samples_leaf,
        class_weight=problem.class_weight,
        random_state=problem.seed,
    )
