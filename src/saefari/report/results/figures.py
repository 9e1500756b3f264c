"""Draw the figures of one setting from its results.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saefari.fingerprint import file_sha256
from saefari.report.build_record import current_record, report_fingerprint, write_record
from saefari.report.png import png
from saefari.store import read_result
from saefari.store.layout import FIGURES, RESULTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERED = 20
_MOST_PANELS = 8
_TOP = 10
_LONGEST_NAME = 40

_BLANK = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}

Classifier = dict[str, Any]
Colour = tuple[float, float, float]
Drawing = Callable[["Figure", Classifier, list[str]], None]


def save_figures(folder: Path) -> list[Path]:
    """Draw each classifier's confusion matrix, ROC curves, top features and tree; return the PNG files.

    folder: of one setting. Raises StoreError if it has no results.json.
    """
    inputs, result = _inputs(folder), read_result(folder)
    written = []
    for name, classifier in result["classifiers"].items():
        for what in figure_names(classifier):
            path = folder / f"{name}_{what}.png"
            with png(path) as figure:
                draw_figure(figure, result, name, what)
            written.append(path)
    write_record(folder / FIGURES, inputs, written)
    return written


def figures_are_current(folder: Path) -> bool:
    """Return whether a setting's figures exist, unchanged, and were drawn from its current results."""
    return current_record(folder / FIGURES, _inputs(folder)) is not None


def figure_names(classifier: Classifier) -> list[str]:
    """Names of the figures of a classifier: `confusion`, `roc`, `top_features`, `structure`, those that it has.

    classifier: its part of results.json; imported ones lack some of it.
    """
    return list(_drawings(classifier))


def draw_figure(figure: Figure, result: dict[str, Any], classifier: str, what: str) -> None:
    """Draw one of the `figure_names` of a classifier on an empty figure; result: the content of results.json."""
    scores = result["classifiers"][classifier]
    _drawings(scores)[what](figure, scores, result["classes"])


def _inputs(folder: Path) -> str:
    path = folder / RESULTS
    return report_fingerprint(file_sha256(path) if path.exists() else None)


def _drawings(classifier: Classifier) -> dict[str, Drawing]:
    """The function that draws each figure of a classifier, by the name of the figure."""
    top = classifier.get("top_features")
    drawings = {
        "confusion": _draw_confusion if classifier.get("confusion") else None,
        "roc": _draw_roc if classifier.get("roc") else None,
        "top_features": _draw_weights if isinstance(top, dict) else None if top is None else _draw_importances,
        "structure": _draw_tree if classifier.get("nodes") else None,
    }
    return {what: draw for what, draw in drawings.items() if draw is not None}


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
    figure.set_size_inches(5, 5)
    axes = figure.add_subplot()
    for name, curve in classifier["roc"].items():
        axes.plot(curve["fpr"], curve["tpr"], linewidth=1.2, color=_colour(classes.index(name)), label=name)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        xlim=(0, 1),
        ylim=(0, 1.01),
        aspect="equal",
        title=f"one-vs-rest ROC, AUC {classifier['roc_auc']:.3f}",
    )
    if len(classifier["roc"]) <= _MOST_NUMBERED:
        axes.legend(fontsize=7, loc="lower right")


def _draw_weights(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    """Draw one panel of weights per class, for the first few classes."""
    shown = classes[1:] if len(classes) == 2 else classes[:_MOST_PANELS]
    n_columns = min(len(shown), 4)
    n_rows = -(-len(shown) // n_columns)
    figure.set_size_inches(3.4 * n_columns, 0.8 + 2.6 * n_rows)
    for place, name in enumerate(shown):
        axes = figure.add_subplot(n_rows, n_columns, place + 1)
        _draw_bars(axes, classifier["top_features"][name][:_TOP], "weight")
        axes.set_title(_shorten(name), fontsize=9)
    if len(classes) > len(shown) > 1:
        figure.suptitle(f"first {len(shown)} of {len(classes)} classes", fontsize=9)


def _draw_importances(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    top = classifier["top_features"][:_MOST_NUMBERED]
    figure.set_size_inches(4.5, 1 + 0.2 * max(len(top), 4))
    _draw_bars(figure.add_subplot(), top, "importance")


def _draw_bars(axes: Axes, entries: list[dict[str, Any]], value: str) -> None:
    """Draw one bar per feature, the first on top, negative values in another colour."""
    values = [entry[value] for entry in entries]
    axes.barh(range(len(entries)), values, color=["tab:blue" if v > 0 else "tab:orange" for v in values])
    axes.set_yticks(range(len(entries)), [_label(entry) for entry in entries])
    axes.set_ylim(max(len(entries), 1) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(value, fontsize=8)
    axes.set_ylabel("feature", fontsize=8)


def _draw_tree(figure: Figure, classifier: Classifier, classes: list[str]) -> None:
    """Draw a tree from left to right: leaves one below the other, in the colour of their class."""
    nodes = classifier["nodes"]
    places = _node_places(nodes)
    n_leaves = sum("left" not in node for node in nodes)
    depth = max(x for x, _ in places.values())
    figure.set_size_inches(3.5 + 1.5 * depth, 0.8 + 0.26 * n_leaves)
    axes = figure.add_subplot()
    axes.axis("off")
    axes.set(xlim=(-0.5, depth + 1.5), ylim=(0.4 - n_leaves, 0.6))
    for number, node in enumerate(nodes):
        x, y = places[number]
        for side, answer in (("left", "no"), ("right", "yes")) if "left" in node else ():
            x_child, y_child = places[node[side]]
            axes.plot([x, x_child], [y, y_child], color="grey", linewidth=0.8, zorder=1)
            middle = (x + x_child) / 2, (y + y_child) / 2
            axes.text(*middle, answer, ha="center", va="center", fontsize=6, color="dimgrey", bbox=_BLANK)
        axes.text(
            x,
            y,
            _node_text(node, classes),
            ha="center" if "left" in node else "left",
            va="center",
            fontsize=7,
            bbox={"boxstyle": "round", "facecolor": _node_colour(node), "edgecolor": "grey"},
        )


def _node_places(nodes: list[dict[str, Any]]) -> dict[int, tuple[float, float]]:
    """Return (x, y) of every node: x = depth; leaves at y = 0, -1, -2 … from the top, the "no" branch first."""
    places: dict[int, tuple[float, float]] = {}
    n_leaves = 0

    def place(number: int, depth: int) -> float:
        """Place a node and its descendants; return its y."""
        nonlocal n_leaves
        node = nodes[number]
        if "left" in node:
            y = (place(node["left"], depth + 1) + place(node["right"], depth + 1)) / 2
        else:
            y, n_leaves = float(-n_leaves), n_leaves + 1
        places[number] = (float(depth), y)
        return y

    place(0, 0)
    return places


def _node_text(node: dict[str, Any], classes: list[str]) -> str:
    if "left" in node:
        return f"{_label(node)} > {node['threshold']:.3g}"
    largest = int(np.argmax(node["distribution"]))
    return f"{_shorten(classes[largest])}, {node['distribution'][largest]:.0%} of {node['n_rows']}"


def _node_colour(node: dict[str, Any]) -> Colour:
    """White for a split; for a leaf the colour of its majority class, paler if classes are mixed."""
    if "left" in node:
        return (1.0, 1.0, 1.0)
    largest = int(np.argmax(node["distribution"]))
    strength = 0.5 * node["distribution"][largest]
    red, green, blue = (1 - strength * (1 - part) for part in _colour(largest))
    return (red, green, blue)


def _colour(number: int) -> Colour:
    """Colour of a class in every figure: ten dark colours, then ten pale ones, repeated."""
    from matplotlib import colormaps

    red, green, blue, _ = colormaps["tab20"]((2 * number + number // 10) % 20)
    return (red, green, blue)


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _label(entry: dict[str, Any]) -> str:
    return str(entry.get("name", entry["feature"]))
