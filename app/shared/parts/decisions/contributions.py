"""What each feature added to the logits of a linear probe: bars and a table, with the sum that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go

from app.shared.labels import shortened
from app.shared.parts.figure import PALETTE, graph, styled
from app.shared.parts.grid import grid, link_column, number_column, text_column

_BARS = 12
_LETTERS = 20
_GREY = "#7F7F7F"


@dataclass(frozen=True)
class Push:
    """What made one class's logit. contributions: float64 [m], of each feature; with the intercept they add up to it.

    title: which class, and why it is looked at.
    """

    title: str
    contributions: np.ndarray
    intercept: float
    logit: float


def contributions(
    name: str,
    labels: Sequence[str],
    links: Sequence[str],
    values: np.ndarray,
    pushes: Sequence[Push],
    explanations: Sequence[str] = (),
) -> dmc.Stack:
    """Bars for each class in `pushes`, and one table of all features.

    name: begins the ids of figures and table. labels, links ("" for none), values: one per feature, m of them.
    explanations: of the features, "" where there is none; or none at all.
    """
    columns = [
        dmc.Stack(
            [
                dmc.Text(push.title, fw=600),
                graph(f"{name}-{i}", bars(labels, push), f"Contributions: {push.title}; the table has all of them"),
                dmc.Text(check(push), size="sm", className="check"),
            ],
            gap=4,
        )
        for i, push in enumerate(pushes)
    ]
    side_by_side = dmc.SimpleGrid(columns, cols={"base": 1, "lg": len(pushes)})
    return dmc.Stack([side_by_side, _table(name, labels, links, values, pushes, explanations)], gap="sm")


def check(push: Push) -> str:
    """`intercept −0.12 + 193 contributions +2.64 = logit +2.52`."""
    total = push.contributions.sum()
    many = len(push.contributions)
    return f"intercept {push.intercept:+.3f}, and {many:,} contributions {total:+.3f}, make the logit {push.logit:+.3f}"


def bars(labels: Sequence[str], push: Push) -> go.Figure:
    """The largest contributions, the rest in one, and the intercept: together the logit."""
    order = np.argsort(-np.abs(push.contributions), kind="stable")
    shown, others = order[:_BARS], order[_BARS:]
    names = [labels[i] for i in shown]
    lengths = [float(push.contributions[i]) for i in shown]
    if len(others):
        names.append(f"{len(others):,} others")
        lengths.append(float(push.contributions[others].sum()))
    names.append("intercept")
    lengths.append(push.intercept)
    colour = [PALETTE[0] if one >= 0 else PALETTE[1] for one in lengths[: len(shown)]]
    positions = list(range(len(names)))
    figure = go.Figure(
        go.Bar(
            x=lengths,
            y=positions,
            orientation="h",
            marker={
                "color": colour + [_GREY] * (len(names) - len(shown)),
                "pattern": {"shape": ["/" if one < 0 else "" for one in lengths]},
            },
            hovertext=[f"<b>{escape(name)}</b><br>{one:+.4f}" for name, one in zip(names, lengths, strict=True)],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    ticks = [escape(shortened(one, _LETTERS)) for one in names]
    return styled(
        figure,
        height=90 + 22 * len(names),
        xaxis={"title": "contribution to the logit", "zeroline": True},
        yaxis={"tickvals": positions, "ticktext": ticks, "autorange": "reversed", "showgrid": False},
        margin={"l": 24 + 7 * max(map(len, ticks)), "r": 16, "t": 8, "b": 48},
        bargap=0.25,
    )


def _table(
    name: str,
    labels: Sequence[str],
    links: Sequence[str],
    values: np.ndarray,
    pushes: Sequence[Push],
    explanations: Sequence[str],
) -> dmc.Stack:
    columns = [
        link_column("feature", "feature", "href", width=150),
        number_column("value", "value", 3, width=110, headerTooltip="before scaling"),
    ]
    columns += [number_column(f"push{i}", push.title, 4, flex=1, minWidth=150) for i, push in enumerate(pushes)]
    if any(explanations):
        columns.append(text_column("explanation", tooltipField="explanation", flex=2, minWidth=220))
    order = np.argsort(-np.max([np.abs(push.contributions) for push in pushes], axis=0), kind="stable")
    rows = [
        {"feature": labels[i], "href": links[i], "value": float(values[i])}
        | {f"push{k}": float(push.contributions[i]) for k, push in enumerate(pushes)}
        | ({"explanation": explanations[i]} if any(explanations) else {})
        for i in order
    ]
    return grid(name, columns, rows, height=380)
