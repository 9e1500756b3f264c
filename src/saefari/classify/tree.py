"""Decision tree whose depth and other settings are chosen by cross-validated macro-F1."""

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
"""Number of features, the best at separating the classes, that a tree may use; shallow trees use few anyway."""
SCREENED_DENSE = 64
_LEVELS_PER_DEVIATION = 8


@dataclass(frozen=True)
class TreeSetting:
    """One candidate of the search."""

    criterion: str
    min_samples_leaf: int
    max_depth: int


@dataclass(frozen=True)
class TreeSearch:
    """Result of the cross-validated search: candidates [n], macro-F1 and accuracy [n, n_folds], index of the best."""

    settings: list[TreeSetting]
    scores: np.ndarray
    accuracies: np.ndarray
    best: int

    @property
    def chosen(self) -> TreeSetting:
        return self.settings[self.best]


def search_tree(problem: Problem, max_depth: int) -> TreeSearch:
    """Score every criterion, leaf size and depth on every fold; choose the best mean, of equals the first.

    One tree is grown to max_depth; its upper levels are the shallower trees.
    """
    grown = list(product(CRITERIA, MIN_SAMPLES_LEAF))
    k = problem.n_classes
    counts = np.zeros((len(grown), max_depth, problem.n_folds, k, k), dtype=np.int64)
    for fold, scaling in enumerate(problem.fold_scalings):
        train, held = problem.training_rows(fold), problem.held_out(fold)
        scaled = _rounded(
            scaling.apply(problem.matrix)
        )  # a tree sees order only: the scaling's scaling changes nothing
        if scaled.shape[1] == 0:
            scaled = np.zeros((len(problem.classes), 1), dtype=np.float32)  # nothing varies: the tree is its root
        columns = screen(scaled[train], problem.classes[train])
        train_features, held_features = (
            tree_input(scaled[train][:, columns]),
            tree_input(scaled[held][:, columns]),
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
    """Return ascending indices of the features that a tree may use; pass training rows only."""
    return select_k(features, classes, SCREENED_DENSE if isinstance(features, np.ndarray) else SCREENED)


def fit_tree(setting: TreeSetting, features: Matrix, problem: Problem) -> DecisionTreeClassifier:
    """Fit the chosen tree on all training rows; features: [n_rows, n_screened]."""
    return _new_tree(setting, problem).fit(tree_input(features), problem.classes)


def predict_by_depth(tree: DecisionTreeClassifier, features: Matrix, max_depth: int) -> list[np.ndarray]:
    """Return the predicted classes of the tree pruned to depth 1, 2, … max_depth, each int [n_rows]."""
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
    """Convert features to the input of scikit-learn's trees: 32-bit indices."""
    if isinstance(features, np.ndarray):
        return features
    return sparse.csr_matrix(
        (features.data, features.indices.astype(np.int32), features.indptr.astype(np.int32)),
        shape=features.shape,
    )


def _rounded(scaled: Matrix) -> Matrix:
    """Round dense standardised features to 1/8: far fewer thresholds to try, equally good splits."""
    if not isinstance(scaled, np.ndarray):
        return scaled
    return np.round(scaled * _LEVELS_PER_DEVIATION) / _LEVELS_PER_DEVIATION


def _new_tree(setting: TreeSetting, problem: Problem) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(
        criterion=setting.criterion,
        max_depth=setting.max_depth,
        min_samples_leaf=setting.min_samples_leaf,
        class_weight=problem.class_weight,
        random_state=problem.seed,
    )
