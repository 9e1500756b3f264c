"""Figures from results.json, for few and many classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from saefari.errors import StoreError
from saefari.report.png import png
from saefari.report.results import figures
from saefari.report.results.figures import save_figures
from saefari.store import write_json

PNG = b"\x89PNG"


def result(n_classes: int) -> dict[str, Any]:
    classes = [f"class {k}" for k in range(n_classes)]
    shared = {
        "macro_f1": 0.8,
        "roc_auc": 0.9,
        "confusion": (np.eye(n_classes, dtype=int) * 5 + 1).tolist(),
        "roc": {
            name: {"fpr": [0.0, 0.2, 1.0], "tpr": [0.0, 0.9, 1.0]}
            for name in classes[-1:] * (n_classes == 2) or classes
        },
    }
    weights = [{"feature": 7, "weight": 1.5, "direction": "for"}, {"feature": 2, "name": "term", "weight": -1.0}]
    leaf = {"n_rows": 5, "distribution": [1.0] + [0.0] * (n_classes - 1)}
    nodes = [leaf | {"feature": 7, "threshold": 0.5, "left": 1, "right": 2}, leaf, leaf]
    return {
        "classes": classes,
        "classifiers": {
            "linear": shared | {"top_features": dict.fromkeys(classes, weights)},
            "tree": shared | {"top_features": [{"feature": 7, "importance": 1.0}], "nodes": nodes},
        },
    }


@pytest.mark.parametrize("n_classes", [2, 3, 30])
def test_every_classifier_gets_its_figures(n_classes: int, tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", result(n_classes))
    written = save_figures(tmp_path)
    assert sorted(path.name for path in written) == [
        "linear_confusion.png",
        "linear_roc.png",
        "linear_top_features.png",
        "tree_confusion.png",
        "tree_roc.png",
        "tree_structure.png",
        "tree_top_features.png",
    ]
    assert all(path.read_bytes().startswith(PNG) for path in written)
    assert sorted(tmp_path.iterdir()) == sorted([*written, tmp_path / "figures.json", tmp_path / "results.json"])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Figures by their files' names, once they are saved."""
    found: dict[str, Figure] = {}

    @contextmanager
    def keep(path: Path) -> Iterator[Figure]:
        with png(path) as figure:
            yield figure
        found[path.stem] = figure

    monkeypatch.setattr(figures, "png", keep)
    return found


def test_figures_show_the_numbers_of_the_result(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    shown = result(3)
    counts = np.array([[6, 2, 0], [1, 1, 0], [0, 3, 9]])  # rows are true classes
    curve = {"fpr": [0.0, 0.1, 1.0], "tpr": [0.0, 0.8, 1.0]}
    scores = shown["classifiers"]["linear"] | {"confusion": counts.tolist(), "roc": {"class 1": curve}}
    scores["top_features"]["class 2"] = [{"feature": 5, "weight": -2.0}, {"feature": 6, "weight": 1.0}]
    write_json(tmp_path / "results.json", shown | {"classifiers": {"linear": scores}})
    save_figures(tmp_path)
    (axes,) = drawn["linear_confusion"].axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0.25, 0.75]])
    assert {(*text.get_position()[::-1], text.get_text()) for text in axes.texts} == {
        (*place, str(count)) for place, count in np.ndenumerate(counts)
    }
    (axes,) = drawn["linear_roc"].axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.column_stack([curve["fpr"], curve["tpr"]]))
    axes = drawn["linear_top_features"].axes[2]
    assert [bar.get_width() for bar in axes.patches] == [-2.0, 1.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["5", "6"]
    assert axes.get_title() == "class 2"


def test_a_tree_is_drawn_with_no_above_yes(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    """The root asks first; its left child is a leaf, its right child asks again."""
    shown = result(2)
    leaf, nodes = {"n_rows": 5, "distribution": [1.0, 0.0]}, []
    nodes += [leaf | {"feature": 7, "threshold": 0.5, "left": 1, "right": 2}, leaf]
    nodes += [leaf | {"feature": 8, "threshold": 2.0, "left": 3, "right": 4}]
    nodes += [leaf | {"distribution": [0.25, 0.75]}, leaf | {"n_rows": 2}]
    shown["classifiers"]["tree"] |= {"nodes": nodes}
    write_json(tmp_path / "results.json", shown | {"classifiers": {"tree": shown["classifiers"]["tree"]}})
    save_figures(tmp_path)
    (axes,) = drawn["tree_structure"].axes
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places["7 > 0.5"] == (0, -0.75)
    assert places["class 0, 100% of 5"] == (1, 0)
    assert places["8 > 2"] == (1, -1.5)
    assert places["class 1, 75% of 5"] == (2, -1)
    assert places["class 0, 100% of 2"] == (2, -2)
    answers = [(text.get_text(), text.get_position()[1]) for text in axes.texts if text.get_text() in ("no", "yes")]
    assert answers == [("no", -0.375), ("yes", -1.125), ("no", -1.25), ("yes", -1.75)]


def test_the_majority_baseline_has_figures_of_scores_only(tmp_path: Path) -> None:
    shown = result(3)
    scores = {k: shown["classifiers"]["linear"][k] for k in ("macro_f1", "roc_auc", "confusion", "roc")}
    write_json(tmp_path / "results.json", shown | {"classifiers": {"majority": scores}})
    assert [path.name for path in save_figures(tmp_path)] == ["majority_confusion.png", "majority_roc.png"]


def test_a_tree_of_one_leaf_and_no_features(tmp_path: Path) -> None:
    shown = result(2)
    shown["classifiers"]["tree"] |= {"nodes": shown["classifiers"]["tree"]["nodes"][1:2], "top_features": []}
    write_json(tmp_path / "results.json", shown)
    assert all(path.exists() for path in save_figures(tmp_path))


def test_a_folder_without_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="classify-only"):
        save_figures(tmp_path)
