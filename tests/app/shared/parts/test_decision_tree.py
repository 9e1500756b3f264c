"""Drawing of a decision tree (layout, collapsed nodes, highlighted path) and its rules."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from app.shared.data.decision_tree import check_nodes, descendants, rules
from app.shared.data.latents.names import FeatureNames
from app.shared.parts.decisions.tree_figure import tree_figure, tree_width

LEAF = {"n_rows": 3, "distribution": [0.25, 0.75]}


def grow(depth: int) -> list[dict[str, Any]]:
    """A full tree of this depth, nodes in scikit-learn's order."""
    if depth == 0:
        return [dict(LEAF)]
    left, right = grow(depth - 1), grow(depth - 1)
    root = {**LEAF, "feature": 100 + depth, "threshold": 0.5, "left": 1, "right": 1 + len(left)}
    for part, shift in ((left, 1), (right, 1 + len(left))):
        for node in part:
            node.update({side: node[side] + shift for side in ("left", "right") if side in node})
    return [root, *left, *right]


def boxes(figure: Any) -> list[tuple[float, float, float, float]]:
    """(left, top, right, bottom) of every box that is drawn."""
    found = []
    for trace in figure.data:
        if trace.mode == "lines" and len(trace.x) % 6 == 0 and trace.x and trace.x[0] == trace.x[3]:
            corners = [(trace.x[i], trace.y[i], trace.x[i + 1], trace.y[i + 2]) for i in range(0, len(trace.x), 6)]
            found += corners
    return found


def test_boxes_of_a_tree_of_depth_five_do_not_overlap() -> None:
    nodes = grow(5)
    figure = tree_figure(nodes, ["a", "b"])
    drawn = boxes(figure)
    assert len(nodes) == len(drawn) == 63
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(drawn, 2):
        assert r1 < l2 or r2 < l1 or b1 < t2 or b2 < t1
    (low, high), width = figure.layout.xaxis.range, tree_width(nodes, [])
    assert min(box[0] for box in drawn) >= low
    assert max(box[2] for box in drawn) <= high <= width


def test_one_unit_of_the_drawing_is_one_pixel() -> None:
    figure = tree_figure(grow(5), ["a", "b"])
    bottom, top = figure.layout.yaxis.range
    margins = figure.layout.margin.t + figure.layout.margin.b
    assert figure.layout.height - margins == pytest.approx(bottom - top, rel=0.02)


def test_a_collapsed_node_hides_its_descendants_and_shows_their_number() -> None:
    nodes = grow(3)
    figure = tree_figure(nodes, ["a", "b"], collapsed=[1])
    shown = list(figure.data[-1].customdata)
    assert sorted(shown) == [i for i in range(15) if i not in descendants(nodes, 1)]
    labels = dict(zip(figure.data[-2].customdata, figure.data[-2].text, strict=True))
    assert "3 rows, 6 hidden" in labels[1]
    assert "hidden" not in labels[8]


def test_a_path_is_drawn_thicker() -> None:
    figure = tree_figure(grow(2), ["a", "b"], path=[0, 1, 3])
    thick = [trace for trace in figure.data if trace.mode == "lines" and trace.line.width > 1]
    assert len(boxes(tree_figure(grow(2), ["a", "b"]))) == 7
    assert sum(len(trace.x) // 6 for trace in thick if len(trace.x) % 6 == 0) == 3
    assert sum(value is None for trace in thick for value in trace.x) == 3 + 2


def test_names_are_text_and_never_markup() -> None:
    nodes = [{**LEAF, "feature": 1, "name": "<b>", "threshold": 1.0, "left": 1, "right": 2}, LEAF, LEAF]
    figure = tree_figure(nodes, ["<i>x", "a & b"])
    texts = " ".join([*figure.data[-1].hovertext, *figure.data[-2].text])
    assert "&lt;b&gt; ≤ 1" in texts
    assert "a &amp; b 75%" in texts
    assert "<i>x" not in texts


def test_a_feature_without_a_name_uses_the_noun() -> None:
    assert (
        "<b>dimension 101</b> ≤ 0.5"
        in tree_figure(grow(1), ["a", "b"], names=FeatureNames("dimension")).data[-1].hovertext[0]
    )


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [{**LEAF, "feature": 1, "threshold": 1.0, "left": 0, "right": 0}],
        [{**LEAF, "feature": 1, "threshold": 1.0, "left": 1, "right": 9}, LEAF],
        [LEAF, LEAF],
        [{"n_rows": 1, "distribution": [1.0]}],
    ],
)
def test_nodes_that_do_not_form_a_tree_are_rejected(nodes: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"tree|shares"):
        check_nodes(nodes, 2)


def test_rules_lead_to_every_leaf() -> None:
    nodes = [
        {**LEAF, "feature": 7, "threshold": 1.0, "left": 1, "right": 2},
        {**LEAF, "n_rows": 9},
        {**LEAF, "feature": 8, "threshold": 2.0, "left": 3, "right": 4},
        {"n_rows": 4, "distribution": [1.0, 0.0]},
        LEAF,
    ]
    assert rules(nodes, ["a", "b"], FeatureNames()) == [
        {"rule": "latent 7 ≤ 1", "class": "b", "share": 0.75, "rows": 9},
        {"rule": "latent 7 > 1 and latent 8 ≤ 2", "class": "a", "share": 1.0, "rows": 4},
        {"rule": "latent 7 > 1 and latent 8 > 2", "class": "b", "share": 0.75, "rows": 3},
    ]
