"""A stored decision tree: validation, traversal, and its leaves as rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.shared.data.latents.names import FeatureNames

Node = dict[str, Any]


def check_nodes(nodes: Sequence[Node], n_classes: int) -> None:
    """Raise ValueError unless the nodes form a tree with the root first (drawing a cycle would never end)."""
    children = [child for node in nodes for child in children_of(node)]
    children_follow = all(i < child for i, node in enumerate(nodes) for child in children_of(node))
    if not nodes or not children_follow or sorted(children) != list(range(1, len(nodes))):
        raise ValueError("the nodes do not form a tree")
    if any(len(node["distribution"]) != n_classes for node in nodes):
        raise ValueError(f"not every node has the shares of {n_classes} classes")


def children_of(node: Node) -> list[int]:
    """Child for feature <= threshold, then the other child; [] for a leaf."""
    return [int(node["left"]), int(node["right"])] if "left" in node else []


def descendants(nodes: Sequence[Node], start: int) -> list[int]:
    """All nodes below one, ascending."""
    found: list[int] = []
    stack = children_of(nodes[start])
    while stack:
        found.append(stack.pop())
        stack += children_of(nodes[found[-1]])
    return sorted(found)


def condition(node: Node, names: FeatureNames) -> str:
    """The condition of an inner node: `latent 1555 ≤ 2.47`, `the word array (1555, embedding 0.83) ≤ 2.47`."""
    return f"{names.of_entry(node).listed} ≤ {node['threshold']:.3g}"


def majority(node: Node) -> int:
    """Index of the node's most frequent class, which a leaf predicts."""
    shares = node["distribution"]
    return max(range(len(shares)), key=lambda i: shares[i])


def rules(nodes: Sequence[Node], classes: Sequence[str], names: FeatureNames) -> list[dict[str, Any]]:
    """One row per leaf: the conditions on its path, the predicted class, its share, and the number of training rows."""
    found = []
    stack: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    while stack:
        number, path = stack.pop()
        node = nodes[number]
        if not children_of(node):
            best = majority(node)
            rule = " and ".join(path) or "always"
            found.append(
                {"rule": rule, "class": classes[best], "share": node["distribution"][best], "rows": node["n_rows"]}
            )
            continue
        conditions = _in_words(node, names)
        stack += [(child, (*path, one)) for child, one in zip(children_of(node), conditions, strict=True)][::-1]
    return found


def _in_words(node: Node, names: FeatureNames) -> tuple[str, str]:
    """Conditions of the left and the right child: little or no “array” (1555 ≤ 2.47), “array” (1555 > 2.47).

    A latent without an explanation, or whose explanation scores no better than its controls, has only the comparison.
    """
    name, threshold = names.of_entry(node), f"{node['threshold']:.3g}"
    if not name.explanation or name.is_doubtful:
        feature = name.own or f"{name.noun} {name.number}"
        return f"{feature} ≤ {threshold}", f"{feature} > {threshold}"
    return f"little or no “{name.title}” ({name.number} ≤ {threshold})", f"“{name.title}” ({name.number} > {threshold})"
