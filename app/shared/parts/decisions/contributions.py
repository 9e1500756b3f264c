"""Contributions of features to the logits of a linear probe, as bars and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go

from app.shared.feature_name import FeatureName
from app.shared.parts.figure import PALETTE, graph, styled
from app.shared.parts.grid import grid, number_column
from app.shared.parts.names import name_columns, name_fields, tick, tooltip_lines
from app.shared.parts.page import wide

_BARS = 12
_LETTERS = 26
_LEAST_WIDTH = 400
"""Pixels; with fewer, names leave no space for bars."""
_GREY = "#7F7F7F"


@dataclass(frozen=True)
class ClassLogit:
    """One class's logit: the intercept plus `contributions`, float64 [m]. title: the class and its role."""

    title: str
    contributions: np.ndarray
    intercept: float
    logit: float


def contributions(
    name: str, features: Sequence[FeatureName], values: np.ndarray, logits: Sequence[ClassLogit]
) -> dmc.Stack:
    """Bars for each class in `logits`, and one table of all m features.

    name: prefix of the ids of figures and table. values: float64 [m], one per feature, before scaling.
    """
    columns = [
        dmc.Stack(
            [
                dmc.Text(one.title, fw=600),
                wide(
                    graph(f"{name}-{i}", bars(features, one), f"Contributions: {one.title}; the table has all of them"),
                    _LEAST_WIDTH,
                ),
                dmc.Text(sum_text(one), size="sm", className="check"),
            ],
            gap=4,
        )
        for i, one in enumerate(logits)
    ]
    side_by_side = dmc.SimpleGrid(columns, cols={"base": 1, "lg": len(logits)})
    return dmc.Stack([side_by_side, _table(name, features, values, logits)], gap="sm")


def sum_text(one: ClassLogit) -> str:
    """The sum in words: `intercept -0.120 + 193 contributions (+2.640) = logit +2.520`."""
    n, total = len(one.contributions), one.contributions.sum()
    return f"intercept {one.intercept:+.3f} + {n:,} contributions ({total:+.3f}) = logit {one.logit:+.3f}"


def bars(features: Sequence[FeatureName], logit: ClassLogit) -> go.Figure:
    """Bars of the largest contributions, the sum of the others, and the intercept; they sum to the logit."""
    order = np.argsort(-np.abs(logit.contributions), kind="stable")
    shown, others = order[:_BARS], order[_BARS:]
    ticks = [tick(features[i], _LETTERS) for i in shown]
    tooltips = ["<br>".join(tooltip_lines(features[i])) for i in shown]
    longest = max([len("intercept"), *(len(features[i].short_text(_LETTERS)) for i in shown)])
    lengths = [float(logit.contributions[i]) for i in shown]
    if len(others):
        ticks.append(f"{len(others):,} others")
        lengths.append(float(logit.contributions[others].sum()))
    ticks.append("intercept")
    tooltips += [f"<b>{one}</b>" for one in ticks[len(shown) :]]
    lengths.append(logit.intercept)
    colour = [PALETTE[0] if one >= 0 else PALETTE[1] for one in lengths[: len(shown)]]
    positions = list(range(len(ticks)))
    figure = go.Figure(
        go.Bar(
            x=lengths,
            y=positions,
            orientation="h",
            marker={
                "color": colour + [_GREY] * (len(ticks) - len(shown)),
                "pattern": {"shape": ["/" if one < 0 else "" for one in lengths]},
            },
            hovertext=[f"{text}<br>{one:+.4f}" for text, one in zip(tooltips, lengths, strict=True)],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    return styled(
        figure,
        height=90 + 22 * len(ticks),
        xaxis={"title": "contribution to the logit", "zeroline": True},
        yaxis={"tickvals": positions, "ticktext": ticks, "autorange": "reversed", "showgrid": False},
        margin={"l": 24 + 7 * longest, "r": 16, "t": 8, "b": 48},
        bargap=0.25,
    )


def _table(name: str, features: Sequence[FeatureName], values: np.ndarray, logits: Sequence[ClassLogit]) -> dmc.Stack:
    first, *others = name_columns(features, "feature", width=190)
    columns = [first, number_column("value", "value", 3, width=110, headerTooltip="before scaling")]
    columns += [number_column(f"logit{i}", one.title, 4, flex=1, minWidth=150) for i, one in enumerate(logits)]
    order = np.argsort(-np.max([np.abs(one.contributions) for one in logits], axis=0), kind="stable")
    rows = [
        name_fields(features[i])
        | {"value": float(values[i])}
        | {f"logit{k}": float(one.contributions[i]) for k, one in enumerate(logits)}
        for i in order
    ]
    return grid(name, [*columns, *others], rows, height=380)
