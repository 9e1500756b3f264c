"""Figures of one latent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.shared.labels import escape, shortened
from app.shared.parts.figure import PALETTE, styled

_BINS = 40
MOST_CLASSES = 25


def activation_histogram(values: np.ndarray) -> go.Figure:
    """Histogram of a latent's nonzero activations, with a logarithmic count axis."""
    counts, edges = np.histogram(values, _BINS)
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            marker={"color": PALETTE[0]},
            hovertemplate="activation %{x:.3g}: %{y:,} positions<extra></extra>",
        )
    )
    figure.update_yaxes(type="log", dtick=1)
    return styled(figure, xaxis_title="activation", yaxis_title="positions (log)", bargap=0, height=300)


def class_bars(association: pd.DataFrame, overall: float) -> go.Figure:
    """Bars of the share of each class's rows in which a latent fires, highest lift on top.

    association: as returned by `class_association`. overall: the share of all rows, drawn as a line.
    """
    shown = association.head(MOST_CLASSES)
    places = list(range(len(shown)))
    figure = go.Figure(
        go.Bar(
            x=shown["share"],
            y=places,
            orientation="h",
            marker={"color": PALETTE[0]},
            text=[f"lift {lift:.1f}" for lift in shown["lift"].fillna(0)],
            textposition="auto",
            customdata=np.column_stack([shown["fires"], shown["rows"]]),
            hovertext=[escape(str(name)) for name in shown["class"]],
            hovertemplate="%{hovertext}: %{customdata[0]:,} of %{customdata[1]:,} rows, %{x:.2%}<extra></extra>",
        )
    )
    figure.add_vline(x=overall, line={"color": PALETTE[3], "dash": "dash"})
    figure.add_annotation(
        x=overall, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"all rows {overall:.2%}"
    )
    labels = [escape(shortened(str(name), 28)) for name in shown["class"]]
    return styled(
        figure,
        xaxis={"title": "share of rows in which it fires", "tickformat": ".1~%", "rangemode": "tozero"},
        yaxis={"tickvals": places, "ticktext": labels, "autorange": "reversed", "showgrid": False},
        margin={"l": 16, "r": 16, "t": 32, "b": 48},
        yaxis_automargin=True,
        height=120 + 26 * len(shown),
    )
