"""The most important features of a classifier and the structure of a tree; all JSON-able."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from saefari.classify.fold_scaling import Matrix

_TOP = 20


def linear_features(
    probe: LogisticRegression, columns: np.ndarray, names: Sequence[str] | None, classes: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return per class the features with the largest absolute weights: index, weight, and direction (for, against).

    columns: [n_features of the probe], their indices in the source. Weights are per standard deviation if the features
    were scaled.
    """
    weights = np.vstack([-probe.coef_, probe.coef_]) if len(probe.coef_) == 1 else probe.coef_
    return {
        name: [
            _feature(columns[i], names) | {"weight": float(row[i]), "direction": "for" if row[i] > 0 else "against"}
            for i in np.argsort(-np.abs(row), kind="stable")[:_TOP]
            if row[i] != 0
        ]
        for name, row in zip(classes, weights, strict=True)
    }


def tree_features(
    tree: DecisionTreeClassifier,
    features: Matrix,
    truth: np.ndarray,
    columns: np.ndarray,
    names: Sequence[str] | None,
    classes: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the features a tree splits on, most important first: index, importance, and direction per class.

    direction: whether the class mean is higher or lower than the overall mean. features: the training rows that the
    tree was fitted on; truth: their classes.
    """
    importance = tree.feature_importances_
    used = [i for i in np.argsort(-importance, kind="stable")[:_TOP] if importance[i] > 0]
    values = features[:, used]
    values = values if isinstance(values, np.ndarray) else values.toarray()
    overall = values.mean(axis=0)
    higher = np.stack([values[truth == k].mean(axis=0) > overall for k in range(len(classes))])
    return [
        _feature(columns[i], names)
        | {
            "importance": float(importance[i]),
            "direction": {name: "higher" if higher[k, place] else "lower" for k, name in enumerate(classes)},
        }
        for place, i in enumerate(used)
    ]


def tree_nodes(
    tree: DecisionTreeClassifier, columns: np.ndarray, names: Sequence[str] | None, n_classes: int
) -> list[dict[str, Any]]:
    """Return every node, the root first. Rows with feature <= threshold go `left`, others `right`; leaves have neither.

    distribution: share of each class among the node's training rows (weighted, if classes are).
    """
    structure = tree.tree_
    nodes = []
    for i in range(structure.node_count):
        shares = structure.value[i, 0] / structure.value[i, 0].sum()
        node: dict[str, Any] = {"n_rows": int(structure.n_node_samples[i]), "distribution": [0.0] * n_classes}
        for k, share in zip(tree.classes_, shares, strict=True):
            node["distribution"][k] = float(share)
        if structure.children_left[i] >= 0:
            node |= _feature(columns[structure.feature[i]], names)
            node |= {
                "threshold": float(structure.threshold[i]),
                "left": int(structure.children_left[i]),
                "right": int(structure.children_right[i]),
            }
        nodes.append(node)
    return nodes


def _feature(index: int, names: Sequence[str] | None) -> dict[str, Any]:
    return {"feature": int(index)} | ({} if names is None else {"name": names[index]})
