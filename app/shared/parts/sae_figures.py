"""Figures of one SAE: density histogram and training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from app.shared.data.sae_quality import Density
from app.shared.labels import escape
from app.shared.parts.figure import COUNTS, DASHES, PALETTE, colours, styled

_BINS = 40
_CURVES = {"fvu": "FVU", "mse": "MSE", "l0": "L0", "dead": "dead fraction"}


def density_histogram(densities: Sequence[Density], height: int = 340) -> go.Figure:
    """Histogram of log10 density (share of positions at which a latent is active), one line per dataset.

    The legend counts latents that are never active. Shaded: the gap above ultra-low-density latents.
    """
    rarest = max((one.n_positions for one in densities), default=10)
    edges = np.linspace(-np.log10(rarest), 0, _BINS + 1)
    figure = go.Figure()
    for i, (one, colour) in enumerate(zip(densities, colours(len(densities)), strict=True)):
        alive = one.active[one.active > 0]
        counts, _ = np.histogram(np.clip(np.log10(alive / one.n_positions), edges[0], 0), edges)
        figure.add_scatter(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            name=escape(f"{one.dataset} ({len(one.active) - len(alive):,} never active)"),
            mode="lines",
            line={"shape": "hvh", "color": colour, "dash": DASHES[(i + i // len(PALETTE)) % len(DASHES)], "width": 2},
            fill="tozeroy" if i == 0 else None,
            hovertemplate="10^%{x:.2f} of positions: %{y:,} latents",
        )
        if one.gap is not None:
            figure.add_vrect(*one.gap, fillcolor=PALETTE[-1], opacity=0.25, line_width=0, annotation_text="gap")
    return styled(
        figure,
        xaxis_title="log10 share of positions",
        yaxis_title="latents",
        showlegend=True,
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
        margin={"l": 56, "r": 16, "t": 16, "b": 48},
        height=height + 20 * len(densities),
    )


def training_figure(curves: Mapping[str, Sequence[float]]) -> go.Figure:
    """FVU, MSE, L0 and dead fraction during training, one panel each. curves: as returned by `training_curves`."""
    from plotly.subplots import make_subplots

    names = [name for name in _CURVES if name in curves]
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for place, name in enumerate(names, start=1):
        figure.add_scatter(
            x=curves["positions"],
            y=curves[name],
            name=_CURVES[name],
            mode="lines",
            line={"color": PALETTE[place - 1], "dash": DASHES[place - 1]},
            row=place,
            col=1,
        )
        figure.update_yaxes(title_text=_CURVES[name], row=place, col=1)
    if "l0" in names:
        figure.update_yaxes(type="log", tickvals=COUNTS, row=names.index("l0") + 1, col=1)
    figure.update_xaxes(title_text="positions trained on", row=len(names), col=1)
    return styled(figure, height=140 + 160 * len(names), showlegend=False)
