"""A row's way down a decision tree: the questions in words, and the tree with the way in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import dcc

from app.shared.data.decision_tree import Node, children_of, majority
from app.shared.parts.decisions.tree_figure import tree_figure, tree_width
from app.shared.parts.figure import graph
from app.shared.parts.page import wide


@dataclass(frozen=True)
class Question:
    """One node on the way. label, href: of the feature it asks for; "" where that has no page."""

    label: str
    href: str
    value: float
    threshold: float
    is_at_most: bool


def tree_path(
    name: str,
    questions: Sequence[Question],
    way: Sequence[int],
    nodes: Sequence[Node],
    classes: Sequence[str],
    word: str,
) -> dmc.Stack:
    """The questions one below the other, and the drawing; what lies beside the way is folded.

    way: numbers of the nodes from root to leaf. word: what a feature without a name is called.
    """
    folded = [i for i, node in enumerate(nodes) if i not in way and children_of(node)]
    drawing = graph(
        name, tree_figure(nodes, classes, folded, way, word), "The row's way down the tree, as listed above"
    )
    steps = dmc.List([dmc.ListItem(_in_words(one)) for one in questions], type="ordered", size="sm")
    answer = dmc.Text(leaf_in_words(nodes[way[-1]], classes), size="sm")
    return dmc.Stack([steps, answer, wide(drawing, tree_width(nodes, folded))], gap="sm")


def leaf_in_words(leaf: Node, classes: Sequence[str]) -> str:
    """What the leaf that a row arrives at says."""
    best = majority(leaf)
    share = leaf["distribution"][best]
    return (
        f"So the row arrives where {leaf['n_rows']:,} training rows did; {share:.1%} of them (weighted, where classes "
        f"are) were {classes[best]}, more than of any other class."
    )


def _in_words(question: Question) -> list[Any]:
    feature = dcc.Link(question.label, href=question.href) if question.href else question.label
    answer = "at most" if question.is_at_most else "more than"
    return [feature, f" is {question.value:.3g}: {answer} {question.threshold:.3g}"]
