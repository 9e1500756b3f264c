"""A row's path through a decision tree: its conditions in words, and the tree with the path highlighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc

from app.shared.data.decision_tree import Node, children_of, majority
from app.shared.data.latents.names import FeatureNames
from app.shared.feature_name import FeatureName
from app.shared.parts.decisions.tree_figure import tree_figure, tree_width
from app.shared.parts.figure import graph
from app.shared.parts.names import written
from app.shared.parts.page import wide


@dataclass(frozen=True)
class Condition:
    """One inner node on the path. name: of the feature it splits on."""

    name: FeatureName
    value: float
    threshold: float
    is_at_most: bool


def tree_path(
    name: str,
    conditions: Sequence[Condition],
    path: Sequence[int],
    nodes: Sequence[Node],
    classes: Sequence[str],
    names: FeatureNames,
) -> dmc.Stack:
    """List the conditions on the path and draw the tree with all other subtrees collapsed.

    path: node numbers from root to leaf. names: of the features.
    """
    collapsed = [i for i, node in enumerate(nodes) if i not in path and children_of(node)]
    drawing = graph(
        name, tree_figure(nodes, classes, collapsed, path, names), "The row's path through the tree, as listed above"
    )
    steps = dmc.List([dmc.ListItem(_sentence(one)) for one in conditions], type="ordered", size="sm")
    answer = dmc.Text(leaf_text(nodes[path[-1]], classes), size="sm")
    return dmc.Stack([steps, answer, wide(drawing, tree_width(nodes, collapsed))], gap="sm")


def leaf_text(leaf: Node, classes: Sequence[str]) -> str:
    """Describe the leaf of a row."""
    best = majority(leaf)
    share = leaf["distribution"][best]
    return (
        f"The row's leaf holds {leaf['n_rows']:,} training rows; {share:.1%} of them (with class weights, if used) are "
        f"{classes[best]}, the most frequent class."
    )


def _sentence(condition: Condition) -> list[Any]:
    sign = "≤" if condition.is_at_most else ">"
    return [written(condition.name), f" = {condition.value:.3g} {sign} {condition.threshold:.3g}"]
