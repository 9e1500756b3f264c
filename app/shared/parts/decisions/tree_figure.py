"""A decision tree drawn from left to right; each node is a box with its condition, rows and classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import plotly.graph_objects as go

from app.shared.data.decision_tree import Node, check_nodes, children_of, descendants, majority
from app.shared.data.latents.names import FeatureNames
from app.shared.labels import escape, shortened
from app.shared.parts.figure import colours, styled
from app.shared.parts.names import tick, tooltip_lines

COLUMN = 202
"""Pixels per level; with fewer, texts overlap."""
_ROW = 56
_BOX = (184, 46)
_TEXT = 10.5
_LETTERS = 24
_LISTED = 12
_GREY, _PATH = "#7F7F7F", "#D55E00"


def tree_figure(
    nodes: Sequence[Node],
    classes: Sequence[str],
    collapsed: Collection[int] = (),
    path: Collection[int] = (),
    names: FeatureNames | None = None,
) -> go.Figure:
    """Draw the tree; a point's customdata is its node's number.

    collapsed: nodes whose subtree is not drawn. path: nodes to highlight, from the root to a sample's leaf.
    names: of the features, by default `latent 7`. Raises ValueError if the nodes do not form a tree.
    """
    check_nodes(nodes, len(classes))
    places, names = _places(nodes, collapsed), names or FeatureNames()
    figure = go.Figure()
    usual = [i for i in places if i not in path]
    figure.add_trace(_edges(nodes, places, [i for i in places if i and i not in path], _GREY, 1))
    figure.add_trace(_boxes(places, usual, _GREY, 1))
    figure.add_trace(_edges(nodes, places, [i for i in places if i and i in path], _PATH, 4))
    figure.add_trace(_boxes(places, [i for i in places if i in path], _PATH, 4))
    figure.add_trace(_answers(nodes, places))
    figure.add_trace(_labels(nodes, classes, places, collapsed, names))
    figure.add_trace(_targets(nodes, classes, places, collapsed, names))
    width = COLUMN * (1 + max(x for x, _ in places.values()) // COLUMN)
    height = max(y for _, y in places.values()) + _ROW
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    return styled(
        figure,
        height=int(height) + 48,
        xaxis=hidden | {"range": [-8, width - COLUMN + _BOX[0] + 8]},
        yaxis=hidden | {"range": [height - _ROW / 2, -_ROW / 2 - 4]},
        margin={"l": 4, "r": 4, "t": 32, "b": 8},
        showlegend=False,
        dragmode="pan",
        hovermode="closest",
        hoverdistance=60,
    )


def tree_width(nodes: Sequence[Node], collapsed: Collection[int]) -> int:
    """Minimum width of the drawing, in pixels."""
    return int(max(x for x, _ in _places(nodes, collapsed).values())) + COLUMN


def _places(nodes: Sequence[Node], collapsed: Collection[int]) -> dict[int, tuple[float, float]]:
    """(left edge, vertical centre) of each drawn node, in pixels.

    Drawn leaves are stacked in order, and every other node is centred between its children, so boxes never overlap.
    """
    level = {0: 0}
    drawn = [0]
    for i in drawn:  # the list grows during iteration; parents come before children
        for child in children_of(nodes[i]) if i not in collapsed else []:
            level[child] = level[i] + 1
            drawn.append(child)
    height: dict[int, float] = {}
    stack = [0]
    while stack:
        i = stack.pop()
        if i not in collapsed:
            stack += children_of(nodes[i])[::-1]
        if i in collapsed or not children_of(nodes[i]):
            height[i] = float(_ROW * len(height))
    for i in reversed(drawn):
        if i not in height:
            height[i] = sum(height[child] for child in children_of(nodes[i])) / 2
    return {i: (float(COLUMN * level[i]), height[i]) for i in drawn}


def _edges(
    nodes: Sequence[Node], places: dict[int, tuple[float, float]], ends: Collection[int], colour: str, width: int
) -> go.Scatter:
    """Draw lines from parents to the children in `ends`."""
    x: list[float | None] = []
    y: list[float | None] = []
    for parent in places:
        for child in children_of(nodes[parent]):
            if child in places and child in ends:
                start, stop = places[parent], places[child]
                bend = start[0] + _BOX[0] + 4
                x += [start[0] + _BOX[0], bend, bend, stop[0], None]
                y += [start[1], start[1], stop[1], stop[1], None]
    return go.Scatter(x=x, y=y, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip")


def _boxes(places: dict[int, tuple[float, float]], which: Collection[int], colour: str, width: int) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for i in which:
        left, middle = places[i]
        right, top, bottom = left + _BOX[0], middle - _BOX[1] / 2, middle + _BOX[1] / 2
        x += [left, right, right, left, left, None]
        y += [top, top, bottom, bottom, top, None]
    return go.Scatter(x=x, y=y, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip")


def _answers(nodes: Sequence[Node], places: dict[int, tuple[float, float]]) -> go.Scatter:
    """Labels `yes` and `no` above the lines."""
    ends = [
        (places[child][0] - 9, places[child][1] - 7, answer)
        for parent in places
        for child, answer in zip(children_of(nodes[parent]), ("yes", "no"), strict=False)
        if child in places
    ]
    x, y, text = zip(*ends, strict=True) if ends else ((), (), ())
    return go.Scatter(x=x, y=y, text=text, mode="text", textfont={"size": 9}, hoverinfo="skip")


def _labels(
    nodes: Sequence[Node],
    classes: Sequence[str],
    places: dict[int, tuple[float, float]],
    collapsed: Collection[int],
    names: FeatureNames,
) -> go.Scatter:
    palette = colours(len(classes))
    return go.Scatter(
        x=[x + 8 for x, _ in places.values()],
        y=[y for _, y in places.values()],
        mode="markers+text",
        text=[_label(nodes, i, classes, collapsed, names) for i in places],
        textposition="middle right",
        textfont={"size": _TEXT},
        marker={
            "size": 11,
            "symbol": ["diamond" if _is_collapsed(nodes, i, collapsed) else "square" for i in places],
            "color": [palette[majority(nodes[i])] for i in places],
            "line": {"width": 1, "color": _GREY},
        },
        customdata=list(places),
        hoverinfo="skip",
    )


def _targets(
    nodes: Sequence[Node],
    classes: Sequence[str],
    places: dict[int, tuple[float, float]],
    collapsed: Collection[int],
    names: FeatureNames,
) -> go.Scatter:
    """Invisible markers in the centre of every box, for hover and click."""
    return go.Scatter(
        x=[x + _BOX[0] / 2 for x, _ in places.values()],
        y=[y for _, y in places.values()],
        mode="markers",
        marker={"size": 40, "opacity": 0},
        customdata=list(places),
        hovertext=[_hover(nodes, i, classes, collapsed, names) for i in places],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _label(
    nodes: Sequence[Node], i: int, classes: Sequence[str], collapsed: Collection[int], names: FeatureNames
) -> str:
    """Three lines: the condition (a latent's name has the line for itself) or class; rows; shares of classes."""
    node, rows = nodes[i], f"{nodes[i]['n_rows']:,} rows"
    if _is_collapsed(nodes, i, collapsed):
        rows += f", {len(descendants(nodes, i))} hidden"
    if not children_of(node):
        head = escape("→ " + shortened(classes[majority(node)], _LETTERS - 2))
    else:
        name, threshold = names.of_entry(node), f"≤ {node['threshold']:.3g}"
        if name.explanation:
            head, rows = tick(name, _LETTERS), f"{threshold} · {rows}"
        else:
            head = f"{tick(name, _LETTERS - len(threshold) - 1)} {threshold}"
    return f"<b>{head}</b><br>{rows}<br>{escape(_shares(node, classes))}"


def _shares(node: Node, classes: Sequence[str]) -> str:
    """Shares of the most frequent classes that fit, at least one: `torch 62%, numpy 20%`."""
    text = ""
    for i in sorted(range(len(classes)), key=lambda i: -node["distribution"][i]):
        share = f" {node['distribution'][i]:.0%}"
        longer = f"{text}, {classes[i]}{share}" if text else shortened(classes[i], _LETTERS + 1 - len(share)) + share
        if len(longer) > _LETTERS + 1 or node["distribution"][i] < 0.005:
            break
        text = longer
    return text


def _hover(
    nodes: Sequence[Node], i: int, classes: Sequence[str], collapsed: Collection[int], names: FeatureNames
) -> str:
    node = nodes[i]
    order = sorted(range(len(classes)), key=lambda k: -node["distribution"][k])
    present = [k for k in order if node["distribution"][k] > 0]
    lines = ["<b>leaf</b>"]
    if children_of(node):
        first, *others = tooltip_lines(names.of_entry(node))
        lines = [f"{first} ≤ {node['threshold']:.3g}", *others]
    lines.append(f"{node['n_rows']:,} rows")
    lines += [f"{escape(classes[k])}: {node['distribution'][k]:.1%}" for k in present[:_LISTED]]
    lines += [f"and {len(present) - _LISTED} more classes"] if len(present) > _LISTED else []
    if children_of(node):
        lines.append("<i>click to expand</i>" if i in collapsed else "<i>click to collapse</i>")
    return "<br>".join(lines)


def _is_collapsed(nodes: Sequence[Node], i: int, collapsed: Collection[int]) -> bool:
    return i in collapsed and bool(children_of(nodes[i]))
