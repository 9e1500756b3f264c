"""Classifiers of a MOSAIC file: scores, ROC curves, features with the largest weights, and tree nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from saefari.store.external_json import JsonNode

_N_TOP_FEATURES = 20
_ROC_POINTS = 200
_MICRO = "micro"
_MOST_ROWS = 10**12

Features = dict[str, list[dict[str, Any]]] | list[dict[str, Any]] | None


@dataclass(frozen=True)
class ImportedClassifier:
    """Imported classifier. scores: as under `classifiers` in results.json. unsigned: the weights' class is unknown."""

    scores: dict[str, Any]
    n_test: int | None
    n_train: int | None = None
    unsigned: bool = False


def read_linear(model: JsonNode, classes: Sequence[str]) -> ImportedClassifier:
    """Read the linear probe. Top features are per class if the classes of the weights are known, else one list.

    For two classes the file has one row of weights, as in scikit-learn: positive weights favour `classes[1]`.
    """
    scores, n_test = _scores(model, classes)
    weights = _weights(model["feature_analysis"]["importance_scores"])
    names = _names(model["feature_analysis"])
    top: Features = None
    if weights is not None and len(weights) == 1 and len(classes) == 2:
        weights = [[-weight for weight in weights[0]], weights[0]]
    if weights is not None and len(weights) == len(classes) > 1:
        top = {
            name: [
                feature | {"weight": row[feature["feature"]], "direction": _direction(row[feature["feature"]])}
                for feature in _largest_weights(row, names)
            ]
            for name, row in zip(classes, weights, strict=True)
        }
    elif weights is not None and len(weights) == 1:
        top = _importances(weights[0], names)
    elif weights is not None:
        model["feature_analysis"]["importance_scores"].add_problem(f"1 or {len(classes)} lists of numbers")
    scores |= {"top_features": top, "n_features": len(weights[0]) if weights else None}
    return ImportedClassifier(scores, n_test, unsigned=isinstance(top, list))


def read_tree(model: JsonNode, classes: Sequence[str]) -> ImportedClassifier:
    """Read the decision tree and its nodes, root first."""
    scores, n_test = _scores(model, classes)
    importance = model["feature_analysis"]["importance_scores"].numbers()
    names = _names(model["feature_analysis"])
    top = None if importance is None else _importances(importance, names)
    nodes = _nodes(model["tree_structure"], classes)
    scores |= {"top_features": top, "nodes": nodes, "n_features": None if importance is None else len(importance)}
    return ImportedClassifier(scores, n_test, n_train=nodes[0]["n_rows"] if nodes else None)


def read_bag_of_words(baseline: JsonNode) -> tuple[list[str], ImportedClassifier]:
    """Read the bag-of-words baseline: its classes, and a linear classifier without features or cross-validation."""
    report = baseline["classification_report"]
    listed = baseline["classes"].items() or []
    classes = [str(name) for name in listed]
    baseline["n_classes"], report["accuracy"]  # mark as read: they repeat classes and accuracy
    roc, areas = _curves(baseline["roc_curve"], classes)
    scores: dict[str, Any] = {
        "accuracy": baseline["accuracy"].number(0, 1),
        **_averages(report, "f1-score"),
        "macro_f1_interval": None,
        "roc_auc": baseline["roc_auc"].number(0, 1) if "roc_auc" in baseline else areas,
        "per_class": {name: _class_report(report[name], "f1-score") for name in classes},
        "confusion": None,
        "roc": roc,
        "cross_validation": {"macro_f1": None, "folds": [], "accuracy": None},
        "seconds": None,
        "n_features": None,
    }
    return classes, ImportedClassifier(scores, report["macro avg"]["support"].integer(0, _MOST_ROWS))


def _scores(model: JsonNode, classes: Sequence[str]) -> tuple[dict[str, Any], int | None]:
    performance, averages = model["performance"], model["aggregated_metrics"]
    folds = performance["cross_validation"]
    early = "roc_analysis" in model  # early versions store it one level higher
    node = model["roc_analysis"] if early else model["feature_analysis"]["roc_analysis"]
    roc, roc_auc = _curves(node, classes)
    scores = {
        "accuracy": performance["accuracy"].number(0, 1),
        **_averages(averages, "f1_score"),
        "macro_f1_interval": None,
        "roc_auc": roc_auc,
        "per_class": {name: _class_report(model["class_metrics"][name], "f1_score") for name in classes},
        "confusion": None,
        "roc": roc,
        "roc_micro": _curve(node[_MICRO]) if _MICRO in node else None,
        "cross_validation": {
            "macro_f1": None,
            "folds": [],
            "accuracy": folds["mean_accuracy"].number(0, 1),
            "accuracy_std": folds["std_accuracy"].number(0, 1) if "std_accuracy" in folds else None,
            "accuracy_folds": folds["fold_scores"].numbers(0, 1) or [],
        },
        "chosen": model["hyperparameters"]["best_params"].scalars() if "hyperparameters" in model else None,
        "seconds": None,
    }
    return scores, averages["macro avg"]["support"].integer(0, _MOST_ROWS)


def _averages(report: JsonNode, f1: str) -> dict[str, float | None]:
    """Read the macro and weighted averages of precision, recall and F1. f1: the file's name of F1."""
    keys = {"f1": f1, "precision": "precision", "recall": "recall"}
    return {
        f"{average}_{name}": report[f"{average} avg"][key].number(0, 1)
        for average in ("macro", "weighted")
        for name, key in keys.items()
    }


def _class_report(report: JsonNode, f1: str) -> dict[str, float | None]:
    return {
        "precision": report["precision"].number(0, 1),
        "recall": report["recall"].number(0, 1),
        "f1": report[f1].number(0, 1),
        "support": report["support"].integer(0, _MOST_ROWS),
    }


def _curves(node: JsonNode, classes: Sequence[str]) -> tuple[dict[str, Any] | None, float | None]:
    """Read (ROC curve per class, mean area under them); for two classes only the curve of the second."""
    nodes = {classes[1]: node} if len(classes) == 2 else {name: node[name] for name in classes if name in node}
    curves, areas = {}, []
    for name, one in nodes.items():
        curve = _curve(one)
        if curve is not None:
            areas.append(_area(one["fpr"].value, one["tpr"].value))
            curves[name] = curve
    complete = len(areas) == (1 if len(classes) == 2 else len(classes))
    return curves or None, sum(areas) / len(areas) if areas and complete else None


def _curve(node: JsonNode) -> dict[str, list[float]] | None:
    """Read a ROC curve, thinned to at most 200 points; None if it cannot be read."""
    false_rate, true_rate = node["fpr"].numbers(0, 1), node["tpr"].numbers(0, 1)
    if false_rate is None or true_rate is None:
        return None
    if not false_rate or len(false_rate) != len(true_rate):
        node["tpr"].add_problem(f"a list of {len(false_rate)} numbers, like fpr")
        return None
    kept = sorted({round(i * (len(false_rate) - 1) / (_ROC_POINTS - 1)) for i in range(_ROC_POINTS)})
    return {"fpr": [false_rate[i] for i in kept], "tpr": [true_rate[i] for i in kept]}


def _area(x: Sequence[float], y: Sequence[float]) -> float:
    return sum((b - a) * (c + d) / 2 for (a, b), (c, d) in zip(pairwise(x), pairwise(y), strict=True))


def _weights(node: JsonNode) -> list[list[float]] | None:
    """Read rows of equal length, or None."""
    rows = node.items()
    if rows is None:
        return None
    read = [JsonNode(row, node.place, node.problems, node.read).numbers() for row in rows]
    kept = [row for row in read if row]
    if not kept or len(kept) != len(read) or len({len(row) for row in kept}) != 1:
        node.add_problem("lists of numbers of equal length")
        return None
    return kept


def _names(analysis: JsonNode) -> dict[int, str]:
    """Return feature index -> name for those of MOSAIC's ten best features that have a name."""
    listed = (analysis["top_features"].items() or []) if "top_features" in analysis else []
    pairs = [(one.get("index"), one.get("name")) for one in listed if isinstance(one, dict)]
    return {
        index: name
        for index, name in pairs
        if isinstance(index, int) and isinstance(name, str) and _is_named(index, name)
    }


def _is_named(index: int, name: str) -> bool:
    return bool(name) and name != f"Feature {index}"


def _largest_weights(row: Sequence[float], names: dict[int, str]) -> list[dict[str, Any]]:
    order = sorted(range(len(row)), key=lambda i: -abs(row[i]))[:_N_TOP_FEATURES]
    return [{"feature": i} | ({"name": names[i]} if i in names else {}) for i in order if row[i] != 0]


def _importances(row: Sequence[float], names: dict[int, str]) -> list[dict[str, Any]]:
    return [
        feature | {"importance": abs(row[feature["feature"]]), "direction": {}}
        for feature in _largest_weights(row, names)
    ]


def _direction(weight: float) -> str:
    return "for" if weight > 0 else "against"


def _nodes(structure: JsonNode, classes: Sequence[str]) -> list[dict[str, Any]] | None:
    """Convert scikit-learn's tree arrays to nodes; None if they do not form a tree."""
    topology, data = structure["topology"], structure["node_data"]
    left, right = topology["children_left"].numbers(), topology["children_right"].numbers()
    features, thresholds = topology["feature_indices"].numbers(), data["thresholds"].numbers()
    rows, shares = data["samples"].numbers(0, _MOST_ROWS), _shares(data["values"], len(classes))
    names = topology["feature_names"].items() if "feature_names" in topology else None
    impurity = (data["impurity"].numbers(0) if "impurity" in data else None) or []
    if left is None or right is None or features is None or thresholds is None or rows is None or shares is None:
        return None
    n = len(left)
    if n == 0 or any(len(column) != n for column in (right, features, thresholds, rows, shares)):
        structure.add_problem("arrays with one entry per node")
        return None
    nodes = []
    for i in range(n):
        node: dict[str, Any] = {"n_rows": int(rows[i]), "distribution": shares[i]}
        node |= {"impurity": impurity[i]} if len(impurity) == n else {}
        if left[i] >= 0:
            feature = int(features[i])
            name = names[i] if names is not None and i < len(names) else None
            named = isinstance(name, str) and _is_named(feature, name)
            node |= {"feature": feature} | ({"name": name} if named else {})
            node |= {"threshold": thresholds[i], "left": int(left[i]), "right": int(right[i])}
        nodes.append(node)
    children = [child for node in nodes if "left" in node for child in (node["left"], node["right"])]
    ordered = all(i < min(node["left"], node["right"]) for i, node in enumerate(nodes) if "left" in node)
    if not ordered or sorted(children) != list(range(1, n)) or any(node.get("feature", 0) < 0 for node in nodes):
        structure.add_problem("a tree in which every node but the root has one earlier parent")
        return None
    return nodes


def _shares(values: JsonNode, n_classes: int) -> list[list[float]] | None:
    """Read the class shares per node from scikit-learn's [n_nodes, 1, n_classes] shares (early versions: counts)."""
    read = []
    for one in values.items() or []:
        row = one[0] if isinstance(one, list) and len(one) == 1 else None
        numbers = JsonNode(row, quiet=True).numbers(0, _MOST_ROWS)
        if numbers is None or len(numbers) != n_classes or sum(numbers) <= 0:
            values.add_problem(f"one list of {n_classes} shares per node")
            return None
        read.append([number / sum(numbers) for number in numbers])
    return read or None
