"""A stored decision tree: whether it is one, what hangs below a node, and its leaves as rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.shared.data.top_features import feature_label

Node = dict[str, Any]


def check_nodes(nodes: Sequence[Node], n_classes: int) -> None:
    """Raises ValueError where the nodes make no tree with the root first: drawing such would never end."""
    children = [child for node in nodes for child in children_of(node)]
    later = all(i < child for i, node in enumerate(nodes) for child in children_of(node))
    if not nodes or not later or sorted(children) != list(range(1, len(nodes))):
        raise ValueError("the nodes make no tree")
    if any(len(node["distribution"]) != n_classes for node in nodes):
        raise ValueError(f"not every node has the shares of {n_classes} classes")


def children_of(node: Node) -> list[int]:
    """Where feature <= threshold leads, then where the other rows go; [] for a leaf."""
    return [int(node["left"]), int(node["right"])] if "left" in node else []


def below(nodes: Sequence[Node], start: int) -> list[int]:
    """Every node that hangs below one."""
    found: list[int] = []
    waiting = children_of(nodes[start])
    while waiting:
        found.append(waiting.pop())
        waiting += children_of(nodes[found[-1]])
    return sorted(found)


def question(node: Node, word: str) -> str:
    """`latent 1555 ≤ 2.47`."""
    return f"{feature_label(node, word)} ≤ {node['threshold']:.3g}"


def majority(node: Node) -> int:
    """Index of the node's most frequent class, which a leaf predicts."""
    shares = node["distribution"]
    return max(range(len(shares)), key=lambda i: shares[i])


def rules(nodes: Sequence[Node], classes: Sequence[str], word: str) -> list[dict[str, Any]]:
    """One row per leaf: the questions on the way with their answers, what it predicts, and of how many rows."""
    found = []
    waiting: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    while waiting:
        number, way = waiting.pop()
        node = nodes[number]
        if not children_of(node):
            best = majority(node)
            rule = " and ".join(way) or "always"
            found.append(
                {"rule": rule, "class": classes[best], "share": node["distribution"][best], "rows": node["n_rows"]}
            )
            continue
        yes = question(node, word)
        answers = (yes, yes.replace("≤", ">"))
        waiting += [(child, (*way, answer)) for child, answer in zip(children_of(node), answers, strict=True)][::-1]
    return found
