"""Figures of one latent and of all latents of an SAE."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.components.figure import PALETTE, styled

_BINS = 40
MOST_CLASSES = 25


def activation_histogram(values: np.ndarray) -> go.Figure:
    """How often one latent is how strong, where it is active at all; counts on a logarithmic axis."""
    figure = _bars(*np.histogram(values, _BINS), PALETTE[0], "activation %{x:.3g}: %{y:,} positions")
    figure.update_yaxes(type="log", dtick=1)
    return styled(figure, xaxis_title="activation", yaxis_title="positions (log)", bargap=0, height=300)


def density_histogram(log10_densities: np.ndarray) -> go.Figure:
    """Latents by the log10 of their density; those never active have none."""
    alive = log10_densities[np.isfinite(log10_densities)]
    figure = _bars(*np.histogram(alive, _BINS), PALETTE[0], "10^%{x:.2f} of positions: %{y:,} latents")
    return styled(figure, xaxis_title="log10 density", yaxis_title="latents", bargap=0, height=240)


def class_bars(association: pd.DataFrame, overall: float) -> go.Figure:
    """Share of each class's rows in which a latent fires, the classes with the highest lift on top.

    association: class, rows, fires, share, lift. overall: the share of all rows, drawn as a line.
    """
    shown = association.head(MOST_CLASSES)
    places = list(range(len(shown)))
    figure = go.Figure(
        go.Bar(
            x=shown["share"],
            y=places,
            orientation="h",
            marker={"color": PALETTE[0], "line": {"width": 0}},
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
    labels = [_shortened(str(name)) for name in shown["class"]]
    return styled(
        figure,
        xaxis={"title": "share of rows in which it fires", "tickformat": ".1~%", "rangemode": "tozero"},
        yaxis={"tickvals": places, "ticktext": labels, "autorange": "reversed", "showgrid": False},
        margin={"l": 16, "r": 16, "t": 32, "b": 48},
        yaxis_automargin=True,
        height=120 + 26 * len(shown),
    )


def _bars(counts: np.ndarray, edges: np.ndarray, colour: str, hover: str) -> go.Figure:
    middles = (edges[:-1] + edges[1:]) / 2
    return go.Figure(
        go.Bar(
            x=middles,
            y=counts,
            width=np.diff(edges),
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=hover + "<extra></extra>",
        )
    )


def _shortened(name: str, most: int = 28) -> str:
    return escape(name if len(name) <= most else name[: most - 1] + "…")
