"""Map of the test rows, coloured by label, prediction or correctness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import dcc

from app.pages.samples.data.map import METHODS, MOST_ROWS, Map, default_space, methods, spaces
from app.shared.data.one_result import OneResult
from app.shared.data.samples.rows import ResultRows
from app.shared.data.tree import Index
from app.shared.labels import escape, shortened
from app.shared.parts.figure import PALETTE, SYMBOLS, graph, styled
from app.shared.parts.page import notice, section
from app.shared.parts.state import options_of, state_id
from app.shared.permalinks import chosen

COLOURS = {"label": "true class", "prediction": "predicted class", "right": "correct or wrong"}
_GREY = "#7F7F7F"
MOST_IN_LEGEND = 12
_LETTERS = 80


def map_section(index: Index, result: OneResult, rows: ResultRows, parameters: Mapping[str, Any]) -> Any:
    """Section of the map; a callback draws the figure. parameters: of the URL."""
    offered = spaces(index, result)
    if not offered:
        return section("Map", [notice("Neither features nor hidden states of these rows are stored.")])
    line = "Similar rows are close to each other. Click a point to select its row. "
    if len(rows.rows) > MOST_ROWS:
        line += f"Shown: a fixed random sample of {MOST_ROWS:,} of {len(rows.rows):,} rows. "
    if len(rows.classes) > MOST_IN_LEGEND:
        line += "Too many classes for a legend: hover over a point for its class. "
    drawing = graph("samples-map", styled(go.Figure(), height=470), "Map of the test rows; the table lists them")
    return section(
        "Map",
        [
            map_controls(result, offered, parameters),
            dmc.Box(id="samples-map-problem"),
            dcc.Loading(drawing, delay_show=300, overlay_style={"visibility": "visible", "opacity": 0.5}),
        ],
        line,
    )


def map_controls(result: OneResult, offered: dict[str, str], parameters: Mapping[str, Any]) -> dmc.Stack:
    """Drop-downs of input, colours and method. offered: see `spaces`. parameters: of the URL."""
    made_from = dmc.Select(
        id=state_id("space"),
        label="Input",
        data=options_of(offered),
        value=chosen(parameters.get("space"), list(offered), default_space(result, offered)),
        allowDeselect=False,
    )
    coloured_by = dmc.Select(
        id=state_id("colour"),
        label="Colour by",
        data=options_of(COLOURS),
        value=chosen(parameters.get("colour"), list(COLOURS), "label"),
        allowDeselect=False,
    )
    drawn_with = dmc.Select(
        id=state_id("method"),
        label="Method",
        data=[{"value": name, "label": METHODS[name]} for name in methods()],
        value=chosen(parameters.get("method"), methods(), methods()[0]),
        allowDeselect=False,
    )
    return dmc.Stack([made_from, dmc.SimpleGrid([coloured_by, drawn_with], cols=2, spacing="sm")], gap="xs")


def map_figure(drawn: Map, rows: ResultRows, kept: np.ndarray, colour: str, row: int | None, axis: str) -> go.Figure:
    """Draw the map; a point's customdata is its row.

    kept: indices of the rows that pass the filters; others are small and grey. colour: a key of COLOURS.
    row: the selected row, marked by a ring. axis: name of the two directions.
    """
    matches = np.isin(drawn.places, kept)
    figure = go.Figure()
    if not matches.all():
        figure.add_trace(
            go.Scatter(
                x=drawn.xy[~matches, 0],
                y=drawn.xy[~matches, 1],
                mode="markers",
                name="filtered out",
                marker={"size": 4, "color": _GREY, "opacity": 0.3},
                hoverinfo="skip",
            )
        )
    names, groups = _groups(rows, colour)
    for i, name in enumerate(names):
        chosen = np.flatnonzero(matches & (groups[drawn.places] == i))
        if len(chosen):
            figure.add_trace(_points(drawn, rows, chosen, name, i))
    if row is not None:
        here = np.flatnonzero(rows.rows[drawn.places] == row)
        figure.add_trace(
            go.Scatter(
                x=drawn.xy[here, 0],
                y=drawn.xy[here, 1],
                mode="markers",
                name="selected row",
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
    """(group names, group index of each row)."""
    if colour == "right":
        return ("correct", "wrong"), (~rows.right).astype(np.int64)
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
        customdata=rows.rows[places].tolist(),  # a list: packed arrays are not returned in click events
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
