"""Scores that the page Run derives, and their figures."""

from __future__ import annotations

import numpy as np
import pytest

from app.pages.run.data.scores import candidates, class_rows, confused_pairs, confusion, roc_areas, share_interval
from app.pages.run.parts.score_figures import confusion_figure, folds_figure, roc_figure

MATRIX = np.array([[8, 2, 0], [1, 4, 0], [0, 5, 0]])
CLASSES = ["a", "b", "<c>"]


def test_confused_pairs_are_sorted_by_frequency() -> None:
    pairs = confused_pairs(MATRIX, CLASSES)
    assert [(pair["true"], pair["predicted"], pair["rows"]) for pair in pairs] == [
        ("<c>", "b", 5),
        ("a", "b", 2),
        ("b", "a", 1),
    ]
    assert [pair["share"] for pair in pairs] == [1.0, 0.2, 0.2]


def test_a_matrix_of_another_shape_is_an_error_and_a_missing_one_is_none() -> None:
    assert confusion({}, CLASSES) is None
    with pytest.raises(ValueError, match="3 classes"):
        confusion({"confusion": [[1, 2], [3, 4]]}, CLASSES)


def test_shares_are_of_the_true_class() -> None:
    figure = confusion_figure(MATRIX, CLASSES, as_shares=True)
    np.testing.assert_allclose(np.asarray(figure.data[0].z)[:2].sum(axis=1), 1)
    assert "true: a<br>predicted: b<br>2 rows, 20.0% of a" in figure.data[0].hovertext[0][1]
    assert "&lt;c&gt;" in figure.data[0].hovertext[2][0]


def test_many_classes_have_no_numbers_but_all_names() -> None:
    names = [f"class {i}" for i in range(77)]
    figure = confusion_figure(np.eye(77, dtype=int), names, as_shares=False)
    assert figure.data[0].texttemplate is None
    assert list(figure.layout.yaxis.ticktext) == names


def test_area_under_a_curve() -> None:
    curves = {"a": {"fpr": [0, 0, 1], "tpr": [0, 1, 1]}, "b": {"fpr": [0, 1], "tpr": [0, 1]}}
    assert roc_areas({"roc": curves}) == {"a": 1.0, "b": 0.5}
    assert roc_areas({"roc": None}) == {}
    figure = roc_figure(curves, roc_areas({"roc": curves}), ["b"])
    assert [trace.name for trace in figure.data] == ["b (0.500)", "chance"]


def test_rows_per_class_tolerate_missing_scores() -> None:
    scores = {"per_class": {"a": {"precision": 0.5, "f1": None}}}
    assert class_rows(scores, CLASSES) == [
        {"class": "a", "precision": 0.5, "recall": None, "f1": None, "support": None, "roc_auc": None}
    ]


def test_the_chosen_candidate_is_marked() -> None:
    scores = {
        "chosen": {"C": 0.1, "terms": "words"},
        "candidates": [{"C": 0.01, "folds": [0.1, 0.3]}, {"C": 0.1, "folds": [0.5, 0.7]}],
    }
    found = candidates(scores)
    assert [one.chosen for one in found] == [False, True]
    figure = folds_figure(found)
    means, rings = figure.data
    assert list(means.x) == [0.01, 0.1]
    assert list(means.y) == pytest.approx([0.2, 0.6])
    assert list(means.error_y.array) == pytest.approx([0.1, 0.1])
    assert (list(rings.x), list(rings.y)) == ([0.1, 0.1], [0.5, 0.7])


def test_candidates_of_a_tree_are_lines_over_depth() -> None:
    found = candidates(
        {
            "candidates": [
                {"criterion": name, "max_depth": depth, "folds": [depth / 10]}
                for name in ("gini", "entropy")
                for depth in (2, 1, 3)
            ],
            "chosen": {"criterion": "gini", "max_depth": 3},
        }
    )
    figure = folds_figure(found)
    assert [trace.name for trace in figure.data[:2]] == ["criterion gini", "criterion entropy"]
    assert list(figure.data[0].x) == [1, 2, 3]


def test_interval_of_a_share() -> None:
    assert share_interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)  # Wilson's, by hand
    assert share_interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
