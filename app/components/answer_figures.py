"""Figures of one answer: how sure it is of each class, and what spoke for it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from app.components.figure import PALETTE, styled
from app.components.labels import shortened
from app.data.reasons import Reason

_MOST_CLASSES = 10


def probability_figure(classes: Sequence[str], probabilities: np.ndarray) -> go.Figure:
    """Bars of the most probable classes, the predicted one on top and in another colour; the rest as one bar."""
    order = np.argsort(-probabilities, kind="stable")[:_MOST_CLASSES]
    names = [shortened(classes[i], 24) for i in order]
    values = [float(probabilities[i]) for i in order]
    if len(classes) > len(order):
        names.append(f"{len(classes) - len(order)} others")
        values.append(max(0.0, 1 - sum(values)))
    return _bars(
        names,
        values,
        [PALETTE[2]] + [PALETTE[5]] * (len(values) - 1),
        [f"{escape(name)}: {value:.1%}" for name, value in zip(names, values, strict=True)],
        [f"{value:.1%}" for value in values],
        {"title": "probability", "range": [0, 1.15], "tickformat": ".0%"},
    )


def contribution_figure(shown: Sequence[Reason]) -> go.Figure:
    """Bars of what features add to the logit of the predicted class, or take from it."""
    values = [reason.contribution or 0.0 for reason in shown]
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.35 * (high - low)  # for the numbers at the bars' ends
    x_range = [low - room if low < 0 else 0, high + room if high > 0 else 0]
    return _bars(
        [shortened(reason.label, 24) for reason in shown],
        values,
        [PALETTE[0] if value >= 0 else PALETTE[1] for value in values],
        [f"{escape(one.label)}<br>value {one.value:.4g}, contribution {one.contribution:+.3f}" for one in shown],
        [f"{value:+.2f}" for value in values],
        {"title": "contribution", "zeroline": True, "range": x_range},
    )


def _bars(
    names: Sequence[str],
    values: Sequence[float],
    bar_colours: Sequence[str],
    hover: Sequence[str],
    texts: Sequence[str],
    x: dict[str, object],
) -> go.Figure:
    """Horizontal bars, the first on top, each with its number written at its end."""
    places = list(range(len(values)))
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=places,
            orientation="h",
            marker={"color": list(bar_colours)},
            text=list(texts),
            textposition="outside",
            cliponaxis=False,
            hovertext=list(hover),
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    labels = [escape(name) for name in names]
    return styled(
        figure,
        height=100 + 26 * len(places),
        xaxis=x,
        yaxis={"tickvals": places, "ticktext": labels, "autorange": "reversed", "showgrid": False},
        margin={"l": 40 + 7 * max(map(len, names), default=0), "r": 40, "t": 8, "b": 48},
        bargap=0.3,
    )
