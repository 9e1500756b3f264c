"""Figures of one setting, drawn from its results.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saefari.store import read_result
from saefari.store.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NUMBERED = 20
_MOST_PANELS = 8
_TOP = 10

Classifier = dict[str, Any]
Drawing = Callable[["Figure", Classifier, list[str]], None]


def save_figures(folder: Path) -> list[Path]:
    """Draw each classifier's confusion matrix, ROC curves, top features and tree; returns the PNG files.

    folder: of one setting; raises StoreError where it holds no results.json.
    """
    result = read_result(folder)
    written = []
    for name, classifier in result["classifiers"].items():
        for what, draw in _drawings(classifier).items():
            path = folder / f"{name}_{what}.png"
            _save(path, draw, classifier, result["classes"])
            written.append(path)
    return written


def _drawings(classifier: Classifier) -> dict[str, Drawing]:
    """What there is to draw of a classifier: file name -> function."""
    drawings: dict[str, Drawing] = {"confusion": _draw_confusion, "roc": _draw_roc}
    if "nodes" in classifier:
        drawings |= {"top_features": _draw_importances, "structure": _draw_tree}
    elif "top_features" in classifier:
        drawings["top_features"] = _draw_weights
    return drawings


def _save(path: Path, draw: Drawing, classifier: Classifier, classes: list[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure, classifier, classes)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})


def _draw_confusion(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    counts = np.asarray(classifier["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 3 + min(0.4 * len(classes), 12)
    figure.set_size_inches(side, side)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    font = min(9.0, 500 / len(classes))
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=font)
    axes.set_yticks(range(len(classes)), classes, fontsize=font)
    axes.set(xlabel="predicted", ylabel="true", title=f"macro-F1 {classifier['macro_f1']:.3f}")
    if len(classes) <= _MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)


def _draw_roc(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    figure.set_size_inches(6, 5)
    axes = figure.add_subplot()
    for name, curve in classifier["roc"].items():
        axes.plot(curve["fpr"], curve["tpr"], linewidth=1, label=name)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title=f"one class against the rest, area {classifier['roc_auc']:.3f}",
    )
    if len(classifier["roc"]) <= _MOST_NUMBERED:
        axes.legend(fontsize=7, loc="lower right")


def _draw_weights(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    """One panel of weights per class, for the first few classes."""
    shown = classes[1:] if len(classes) == 2 else classes[:_MOST_PANELS]
    n_columns = min(len(shown), 4)
    n_rows = -(-len(shown) // n_columns)
    figure.set_size_inches(3.4 * n_columns, 2.8 * n_rows)
    for place, name in enumerate(shown):
        axes = figure.add_subplot(n_rows, n_columns, place + 1)
        top = classifier["top_features"][name][:_TOP][::-1]
        weights = [entry["weight"] for entry in top]
        axes.barh(range(len(top)), weights, color=["tab:blue" if w > 0 else "tab:orange" for w in weights])
        axes.set_yticks(range(len(top)), [_label(entry) for entry in top], fontsize=7)
        axes.set_title(name, fontsize=9)
        axes.axvline(0, color="black", linewidth=0.6)
    if len(classes) > len(shown) > 1:
        figure.suptitle(f"weights of the first {len(shown)} of {len(classes)} classes", fontsize=9)


def _draw_importances(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    top = classifier["top_features"][:_MOST_NUMBERED][::-1]
    figure.set_size_inches(5, 1 + 0.25 * max(len(top), 4))
    axes = figure.add_subplot()
    axes.barh(range(len(top)), [entry["importance"] for entry in top])
    axes.set_yticks(range(len(top)), [_label(entry) for entry in top], fontsize=8)
    axes.set(xlabel="importance")


def _draw_tree(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    """Leaves side by side, each split above the middle of its children."""
    nodes = classifier["nodes"]
    places = _node_places(nodes)
    n_leaves = sum("left" not in node for node in nodes)
    depth = max(-y for _, y in places.values())
    figure.set_size_inches(max(4.0, 1.1 * n_leaves), 1.5 + 1.1 * depth)
    axes = figure.add_subplot()
    axes.axis("off")
    axes.set(xlim=(-0.7, n_leaves - 0.3), ylim=(-depth - 0.5, 0.5))
    for number, node in enumerate(nodes):
        for side in ("left", "right"):
            if side in node:
                (x, y), (x_child, y_child) = places[number], places[node[side]]
                axes.plot([x, x_child], [y, y_child], color="grey", linewidth=0.8, zorder=1)
        axes.text(
            *places[number],
            _node_text(node, classes),
            ha="center",
            va="center",
            fontsize=6,
            bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": "grey"},
        )


def _node_places(nodes: list[dict[str, Any]]) -> dict[int, tuple[float, float]]:
    """(x, y) of every node: leaves at 0, 1, 2 … from left to right, y = -depth."""
    places: dict[int, tuple[float, float]] = {}
    n_leaves = 0

    def place(number: int, depth: int) -> float:
        nonlocal n_leaves
        node = nodes[number]
        if "left" in node:
            x = (place(node["left"], depth + 1) + place(node["right"], depth + 1)) / 2
        else:
            x, n_leaves = float(n_leaves), n_leaves + 1
        places[number] = (x, float(-depth))
        return x

    place(0, 0)
    return places


def _node_text(node: dict[str, Any], classes: list[str]) -> str:
    if "left" in node:
        return f"{_label(node)}\n> {node['threshold']:.3g}? right"
    largest = int(np.argmax(node["distribution"]))
    return f"{classes[largest]}\n{node['distribution'][largest]:.0%} of {node['n_rows']}"


def _label(entry: dict[str, Any]) -> str:
    return str(entry.get("name", entry["feature"]))
