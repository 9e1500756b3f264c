"""What a classifier reads, on data whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from saefari.classify.feature_importance import linear_features, tree_features, tree_nodes

COLUMNS = np.array([30, 10, 20])
"""The features' numbers in their source."""


def data(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [60, 3] and classes: column k is high in class k, and column 0 low in the last class."""
    generator = np.random.default_rng(0)
    classes = np.arange(60) % n_classes
    features = generator.normal(0, 0.1, (60, 3))
    features[np.arange(60), classes] += 2
    features[classes == n_classes - 1, 0] -= 1
    return features, classes


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_feature_speaks_for_the_class_that_it_is_high_in(n_classes: int) -> None:
    features, classes = data(n_classes)
    names = ["a", "b", "c"][:n_classes]
    probe = LogisticRegression().fit(features, classes)
    found = linear_features(probe, COLUMNS, None, names)
    assert list(found) == names
    for k, name in enumerate(names):
        sides = {entry["feature"]: (entry["direction"], np.sign(entry["weight"])) for entry in found[name]}
        assert sides[COLUMNS[k]] == ("for", 1)
        assert all(sides[COLUMNS[j]] == ("against", -1) for j in range(n_classes) if j != k and j < n_classes)
        sizes = [abs(entry["weight"]) for entry in found[name]]
        assert sizes == sorted(sizes, reverse=True)
    logits = {name: sum(e["weight"] * features[:, COLUMNS.tolist().index(e["feature"])] for e in found[name])
              for name in names}  # fmt: skip
    decided = np.stack([logits[name] for name in names], axis=1) + (
        [-probe.intercept_[0], probe.intercept_[0]] if n_classes == 2 else probe.intercept_
    )
    np.testing.assert_array_equal(decided.argmax(axis=1), probe.predict(features))


def test_names_stand_beside_numbers_and_weights_of_zero_are_left_out() -> None:
    features, classes = data(2)
    features[:, 2] = 0
    found = linear_features(LogisticRegression().fit(features, classes), np.arange(3), ["x", "y", "z"], ["a", "b"])
    assert [[(entry["feature"], entry["name"]) for entry in found[name]] for name in ("a", "b")] == [
        [(0, "x"), (1, "y")],
        [(0, "x"), (1, "y")],
    ]


def test_a_trees_nodes_and_features_are_those_of_the_data() -> None:
    features = np.array([[0.0, 5], [1, 5], [0, 6], [1, 6], [1, 7], [1, 8]])
    classes = np.array([0, 1, 0, 1, 1, 1])
    tree = DecisionTreeClassifier(max_depth=1, random_state=0).fit(features, classes)
    nodes: list[dict[str, Any]] = tree_nodes(tree, np.array([7, 9]), None, 3)
    assert nodes[0] == {
        "n_rows": 6,
        "distribution": pytest.approx([1 / 3, 2 / 3, 0]),
        "feature": 7,
        "threshold": 0.5,
        "left": 1,
        "right": 2,
    }
    assert nodes[1:] == [{"n_rows": 2, "distribution": [1, 0, 0]}, {"n_rows": 4, "distribution": [0, 1, 0]}]
    (found,) = tree_features(tree, features, classes, np.array([7, 9]), None, ["a", "b"])
    assert found == {"feature": 7, "importance": 1.0, "direction": {"a": "lower", "b": "higher"}}
