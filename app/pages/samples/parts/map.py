"""The flat map of test rows, coloured by label, prediction or right and wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import dcc

from app.pages.samples.data.map import METHODS, MOST_ROWS, Map, default_space, methods, spaces
from app.shared.data.one_result import OneResult
from app.shared.data.samples.rows import ResultRows
from app.shared.data.tree import Index
from app.shared.labels import shortened
from app.shared.parts.figure import PALETTE, SYMBOLS, graph, styled
from app.shared.parts.page import notice, section
from app.shared.parts.state import options_of, state_id
from app.shared.permalinks import chosen

COLOURS = {"label": "true class", "prediction": "predicted class", "right": "right or wrong"}
_GREY = "#7F7F7F"
MOST_IN_LEGEND = 12
_LETTERS = 80


def map_section(index: Index, result: OneResult, rows: ResultRows, asked: Mapping[str, Any]) -> Any:
    """The map's place on the page, which a callback draws into. asked: what the URL says."""
    offered = spaces(index, result)
    if not offered:
        return section("Map", [notice("Neither features nor hidden states of these rows are stored.")])
    said_first = "Rows that are alike lie near each other. Click a point to open its row. "
    if len(rows.rows) > MOST_ROWS:
        said_first += f"Of {len(rows.rows):,} rows, {MOST_ROWS:,} drawn at random (the same every time) are shown. "
    if len(rows.classes) > MOST_IN_LEGEND:
        said_first += "So many classes are not listed beside it: hover a point for its class. "
    drawing = graph("samples-map", styled(go.Figure(), height=470), "Map of the test rows; the table beside lists them")
    return section(
        "Map",
        [
            map_controls(result, offered, asked),
            dmc.Box(id="samples-map-problem"),
            dcc.Loading(drawing, delay_show=300, overlay_style={"visibility": "visible", "opacity": 0.5}),
        ],
        said_first,
    )


def map_controls(result: OneResult, offered: dict[str, str], asked: Mapping[str, Any]) -> dmc.Stack:
    """What the map is made from, how it is coloured and drawn. offered: see `spaces`; asked: what the URL says."""
    made_from = dmc.Select(
        id=state_id("space"),
        label="Made from",
        data=options_of(offered),
        value=chosen(asked.get("space"), list(offered), default_space(result, offered)),
        allowDeselect=False,
    )
    coloured_by = dmc.Select(
        id=state_id("colour"),
        label="Coloured by",
        data=options_of(COLOURS),
        value=chosen(asked.get("colour"), list(COLOURS), "label"),
        allowDeselect=False,
    )
    drawn_with = dmc.Select(
        id=state_id("method"),
        label="Drawn with",
        data=[{"value": name, "label": METHODS[name]} for name in methods()],
        value=chosen(asked.get("method"), methods(), methods()[0]),
        allowDeselect=False,
    )
    return dmc.Stack([made_from, dmc.SimpleGrid([coloured_by, drawn_with], cols=2, spacing="sm")], gap="xs")


def map_figure(drawn: Map, rows: ResultRows, kept: np.ndarray, colour: str, row: int | None, axis: str) -> go.Figure:
    """The map; a point's customdata is its row.

    kept: places of the rows that are asked for; the others are small and grey. colour: a key of COLOURS.
    row: the one that is shown now, ringed. axis: what the two directions are called.
    """
    asked = np.isin(drawn.places, kept)
    figure = go.Figure()
    if not asked.all():
        figure.add_trace(
            go.Scatter(
                x=drawn.xy[~asked, 0],
                y=drawn.xy[~asked, 1],
                mode="markers",
                name="not asked for",
                marker={"size": 4, "color": _GREY, "opacity": 0.3},
                hoverinfo="skip",
            )
        )
    names, groups = _groups(rows, colour)
    for i, name in enumerate(names):
        chosen = np.flatnonzero(asked & (groups[drawn.places] == i))
        if len(chosen):
            figure.add_trace(_points(drawn, rows, chosen, name, i))
    if row is not None:
        here = np.flatnonzero(rows.rows[drawn.places] == row)
        figure.add_trace(
            go.Scatter(
                x=drawn.xy[here, 0],
                y=drawn.xy[here, 1],
                mode="markers",
                name="shown below",
                marker={"size": 18, "symbol": "circle-open", "color": "#D55E00", "line": {"width": 3}},
                hoverinfo="skip",
            )
        )
    titles = [f"{axis} {i + 1}" for i in range(2)]
    if drawn.explained is not None:
        titles = [f"{title} ({share:.1%} of variance)" for title, share in zip(titles, drawn.explained, strict=True)]
    return styled(
        figure,
        height=470,
        xaxis={"title": titles[0], "showticklabels": False, "zeroline": False},
        yaxis={"title": titles[1], "showticklabels": False, "zeroline": False},
        showlegend=len(names) <= MOST_IN_LEGEND,
        hovermode="closest",
        clickmode="event",
        uirevision="kept",
        margin={"l": 32, "r": 8, "t": 8, "b": 32},
        legend={"orientation": "h", "yanchor": "top", "y": -0.1, "x": 0},
    )


def _groups(rows: ResultRows, colour: str) -> tuple[Sequence[str], np.ndarray]:
    """Names, and the group of each row as an index into them."""
    if colour == "right":
        return ("right", "wrong"), (~rows.right).astype(np.int64)
    return rows.classes, rows.predicted if colour == "prediction" else rows.labels


def _points(drawn: Map, rows: ResultRows, chosen: np.ndarray, name: str, i: int) -> go.Scatter:
    places = drawn.places[chosen]
    return go.Scatter(
        x=drawn.xy[chosen, 0],
        y=drawn.xy[chosen, 1],
        mode="markers",
        name=escape(shortened(name, 28)),
        marker={
            "size": 7,
            "color": PALETTE[i % len(PALETTE)],
            "symbol": SYMBOLS[(i + i // len(PALETTE)) % len(SYMBOLS)],
            "opacity": 0.8,
        },
        customdata=rows.rows[places].tolist(),  # packed arrays do not come back with a click
        hovertext=[_hover(rows, int(place)) for place in places],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _hover(rows: ResultRows, place: int) -> str:
    lines = [
        f"row {rows.rows[place]}: {escape(rows.classes[rows.labels[place]])}",
        f"predicted {escape(rows.classes[rows.predicted[place]])} ({rows.confidence[place]:.2f})",
    ]
    if name := rows.names[place]:
        lines.append(escape(shortened(" ".join(name.split()), _LETTERS)))
    return "<br>".join(lines)
