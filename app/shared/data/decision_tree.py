"""A stored decision tree: validation, traversal, and its leaves as rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.shared.data.top_features import feature_label

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


def condition(node: Node, word: str) -> str:
    """The condition of an inner node: `latent 1555 ≤ 2.47`."""
    return f"{feature_label(node, word)} ≤ {node['threshold']:.3g}"


def majority(node: Node) -> int:
    """Index of the node's most frequent class, which a leaf predicts."""
    shares = node["distribution"]
    return max(range(len(shares)), key=lambda i: shares[i])


def rules(nodes: Sequence[Node], classes: Sequence[str], word: str) -> list[dict[str, Any]]:
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
        at_most = condition(node, word)
        conditions = (at_most, at_most.replace("≤", ">"))
        stack += [(child, (*path, one)) for child, one in zip(children_of(node), conditions, strict=True)][::-1]
    return found
