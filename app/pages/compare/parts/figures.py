"""Figures that compare results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.pages.compare.data.cells import sorted_values
from app.shared.data.selection import TASK
from app.shared.labels import SOURCES, escape, result_title, score, short_model, shortened
from app.shared.parts.figure import DASHES, PALETTE, SEQUENTIAL, SYMBOLS, styled
from app.shared.permalinks import link

FACETS, GROUPS = 12, 24
"""Maximum numbers of panels and of colours; more would be indistinguishable."""
ACROSS = 3
_PANEL, _GAP = 260, 130
_SPREAD = 0.5
_ORDERED = ("layer", "width", "top_n", "binarize", "select_k")
_MISSING = {"layer": "no layer", "width": "no SAE", "model": "no model", "binarize": "off", "select_k": "all"}


@dataclass(frozen=True)
class View:
    """Table columns for the y axis (metric), x axis, colours and panels; "" for none."""

    metric: str
    x: str
    colour: str
    facet: str

    @property
    def keys(self) -> list[str]:
        return [key for key in (self.x, self.colour, self.facet) if key]


def value_label(column: str, value: Any) -> str:
    """Display text of a column's value."""
    if pd.isna(value) or value == "":
        return _MISSING.get(column, "none")
    if column == "source":
        return SOURCES.get(value, value)
    if column == "model":
        return short_model(value)
    if column == TASK:
        return value
    return f"{value:g}" if isinstance(value, float) else str(value)


def comparison_figure(rows: pd.DataFrame, view: View, names: Mapping[str, str]) -> go.Figure:
    """One point per row, with its interval if the metric has one. A point's customdata is the result's page.

    names: column -> display name.
    """
    panels = sorted_values(list(rows[view.facet]))[:FACETS] if view.facet else [None]
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    titles = [escape(value_label(view.facet, value)) for value in panels] if view.facet else None
    height = down * _PANEL + (down - 1) * _GAP
    figure = make_subplots(down, across, shared_yaxes="all", subplot_titles=titles, vertical_spacing=_GAP / height)
    ticks = sorted_values(list(rows[view.x]))
    groups = sorted_values(list(rows[view.colour]))[:GROUPS] if view.colour else [None]
    in_legend: set[Any] = set()
    for place, panel in enumerate(panels):
        shown = _having(rows, view.facet, panel)
        at = {"row": place // across + 1, "col": place % across + 1}
        for i, group in enumerate(groups):
            members = _having(shown, view.colour, group)
            if len(members):
                figure.add_trace(_points(members, view, ticks, i, len(groups), group, group not in in_legend), **at)
                in_legend.add(group)
                for line in _level_lines(members, view, ticks, i):
                    figure.add_trace(line, **at)
    labels = [escape(shortened(value_label(view.x, tick), 22)) for tick in ticks]
    figure.update_xaxes(tickvals=list(range(len(ticks))), ticktext=labels, range=[-0.6, len(ticks) - 0.4])
    for place in range(max(0, len(panels) - across), len(panels)):
        figure.update_xaxes(title=names[view.x], row=place // across + 1, col=place % across + 1)
    figure.update_yaxes(title=names[view.metric], col=1)
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1 + 36 / height, "x": 0}
    return styled(figure, height=height + 170, margin={"l": 56, "r": 16, "t": 84, "b": 86}, legend=legend)


def heat_figure(values: pd.DataFrame, is_difference: bool) -> go.Figure:
    """Heat map of models (rows) by datasets (columns). values: as returned by `best_by_model`."""
    largest = float(np.nanmax(np.abs(values.to_numpy()), initial=0.0)) or 1.0
    scale: dict[str, Any] = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": 1}
    if is_difference:
        scale = {"colorscale": "PuOr", "zmin": -largest, "zmax": largest}
    names = [escape(shortened(str(task), 48)) for task in values.columns]
    below = 40 + round(3.8 * max(map(len, names), default=0))  # pixels for slanted names
    figure = go.Figure(
        go.Heatmap(
            x=list(range(len(names))),
            y=[escape(short_model(str(model))) for model in values.index],
            z=values.to_numpy(),
            texttemplate="%{z:+.3f}" if is_difference else "%{z:.3f}",
            customdata=[[escape(str(task)) for task in values.columns]] * len(values),
            hovertemplate="%{y}<br>%{customdata}<br>%{z:.3f}<extra></extra>",
            showscale=False,
            xgap=2,
            ygap=2,
            **scale,
        )
    )
    grid_off = {"showgrid": False}
    return styled(
        figure,
        height=40 + 44 * len(values) + below,
        xaxis=grid_off | {"tickvals": list(range(len(names))), "ticktext": names, "tickangle": -30},
        yaxis=grid_off | {"type": "category", "autorange": "reversed"},
        margin={"l": 200, "r": 16, "t": 16, "b": below},
    )


def classes_figure(rows: Sequence[tuple[str, list[float | None]]], n_results: int) -> go.Figure:
    """F1 of each class, one mark per result."""
    figure = go.Figure()
    places = list(range(len(rows)))
    for i in range(n_results):
        figure.add_trace(
            go.Scatter(
                x=[values[i] for _, values in rows],
                y=places,
                mode="markers",
                name=f"result {i + 1}",
                marker={"symbol": SYMBOLS[i % len(SYMBOLS)], "color": PALETTE[i % len(PALETTE)], "size": 10},
                hovertemplate="%{text}<br>F1 %{x:.3f}<extra>" + str(i + 1) + "</extra>",
                text=[escape(name) for name, _ in rows],
            )
        )
    labels = [escape(shortened(name, 26)) for name, _ in rows]
    return styled(
        figure,
        height=130 + 24 * len(rows),
        xaxis={"title": "F1", "range": [-0.02, 1.02]},
        yaxis={"tickvals": places, "ticktext": labels, "autorange": "reversed"},
        margin={"l": 30 + 7 * max(map(len, labels), default=0), "r": 16, "t": 40, "b": 48},
    )


def _having(rows: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    if not column:
        return rows
    return rows[rows[column].isna() if value is None else rows[column] == value]


def _points(
    rows: pd.DataFrame, view: View, ticks: Sequence[Any], i: int, n_groups: int, group: Any, legend: bool
) -> go.Scatter:
    """Points of one group in one panel; groups are side by side at each tick."""
    places = {tick: place for place, tick in enumerate(ticks)}
    rows = rows.assign(place=[places[None if pd.isna(value) else value] for value in rows[view.x]]).sort_values("place")
    shift = _SPREAD * ((i + 0.5) / n_groups - 0.5)
    values = rows[view.metric].astype(float)
    bars = None
    if view.metric == "macro_f1":
        bars = {
            "array": (rows["macro_f1_high"] - values).fillna(0),
            "arrayminus": (values - rows["macro_f1_low"]).fillna(0),
            "thickness": 1.2,
        }
    colour = PALETTE[i % len(PALETTE)]
    return go.Scatter(
        x=rows["place"] + shift,
        y=values,
        error_y=bars,
        mode="lines+markers" if view.x in _ORDERED and len(ticks) > 2 else "markers",
        name=escape(value_label(view.colour, group)) if view.colour else "",
        legendgroup=str(group),
        showlegend=bool(view.colour) and legend,
        line={"color": colour, "dash": DASHES[i // len(PALETTE) % len(DASHES)], "width": 1.5},
        marker={"color": colour, "symbol": SYMBOLS[(i + i // len(PALETTE)) % len(SYMBOLS)], "size": 9},
        customdata=[
            link("/run", run=row.run, classifier=row.classifier) if row.run else "" for row in rows.itertuples()
        ],
        hovertext=[_hover(row, view) for row in rows.itertuples()],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _level_lines(rows: pd.DataFrame, view: View, ticks: Sequence[Any], i: int) -> list[go.Scatter]:
    """Dotted lines across the panel for results without a value on x, such as a baseline without a layer."""
    if view.x not in _ORDERED or len(ticks) < 2:
        return []
    levels = rows.loc[rows[view.x].isna() | (rows[view.x] == ""), view.metric]
    line = {"color": PALETTE[i % len(PALETTE)], "dash": "dot", "width": 1}
    ends = [-0.6, len(ticks) - 0.4]
    return [
        go.Scatter(x=ends, y=[level, level], mode="lines", line=line, hoverinfo="skip", showlegend=False)
        for level in levels
    ]


def _hover(row: Any, view: View) -> str:
    by = "test score (none is cross-validated)" if row.by_test else "cross-validation"
    of = f"best of {row.n_results} by {by}" if row.n_results > 1 else "the only result"
    lines = [f"<b>{escape(row.task)}</b>", escape(result_title(row))]
    lines += [f"macro-F1 {score(row.macro_f1, row.macro_f1_low, row.macro_f1_high)}"]
    if view.metric != "macro_f1":
        lines.append(f"{view.metric} {score(getattr(row, view.metric))}")
    return "<br>".join([*lines, of])
