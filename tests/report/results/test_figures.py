"""Figures from results.json, for few and many classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saefari.errors import StoreError
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
