"""Figures: common style, colour-blind-safe palette, PNG and SVG export."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import plotly.graph_objects as go
import plotly.io
from dash import MATCH, ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#7F7F7F")
"""Okabe and Ito's colours (jfly.uni-koeln.de/color) without black, which is invisible on a dark page."""
SEQUENTIAL = "Cividis"
"""Sequential colour scale, colour-blind-safe."""
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x", "star", "hexagon")
COUNTS = [step * 10**power for power in range(-1, 7) for step in (1, 2, 5)]
"""Ticks of a logarithmic count axis; readable also if it spans less than a decade."""


_AXIS = {
    "automargin": True,
    "gridcolor": "#E5E5E5",
    "zerolinecolor": "#E5E5E5",
    "zerolinewidth": 2,
    "ticks": "",
    "title": {"standoff": 15},
}
_COLOURBAR = {"outlinewidth": 0, "ticks": ""}
# Plotly's own templates add 7 kB to every figure and are slow to validate. assets/theme.css colours text and lines.
plotly.io.templates["saefari"] = go.layout.Template(
    layout={
        "margin": {"l": 56, "r": 16, "t": 32, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": PALETTE,
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        "hoverlabel": {"align": "left"},
        "hovermode": "closest",
        "autotypenumbers": "strict",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    },
    data={"heatmap": [{"colorbar": _COLOURBAR}]},
)
plotly.io.templates.default = "saefari"


def colours(n: int) -> list[str]:
    """n colours. They repeat after eight, so also vary dashes or symbols."""
    return [PALETTE[i % len(PALETTE)] for i in range(n)]


def styled(figure: go.Figure, height: int = 360, **layout: Any) -> go.Figure:
    """Set a figure's height in pixels and further plotly layout."""
    figure.update_layout(height=height, **layout)
    return figure


def graph(name: str, figure: go.Figure, label: str) -> html.Div:
    """A figure with export buttons and the id `graph_id(name)`. label: description for screen readers."""
    plot = dcc.Graph(
        id=graph_id(name),
        figure=figure,
        style={"height": figure.layout.height},  # keeps the height when the window is resized
        config={
            "displaylogo": False,
            "showSendToCloud": False,  # no upload button
            "responsive": True,
            "toImageButtonOptions": {"format": "png", "filename": f"saefari-{name}", "scale": 2},
            "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
        },
    )
    button = dmc.Button("SVG", id={"type": "svg", "name": name}, variant="subtle", size="compact-xs")
    exports = dmc.Group(button, justify="flex-end")
    described: dict[str, Any] = {"aria-label": label}
    return html.Div([exports, plot], className="figure", role="figure", **described)


def graph_id(name: str) -> dict[str, str]:
    """Id of a figure made by `graph`."""
    return {"type": "graph", "name": name}


def opens_on_click(name: str, path: str) -> None:
    """Register a callback: a click on a mark opens the link in its customdata, if it leads to `path`."""

    @callback(
        Output("_pages_location", "href", allow_duplicate=True),
        Input(graph_id(name), "clickData"),
        prevent_initial_call=True,
    )
    def _open(clicked: dict[str, Any] | None) -> Any:
        return clicked_link(clicked, path)


def clicked_link(clicked: dict[str, Any] | None, path: str) -> Any:
    """The link in the clicked mark's customdata, if it leads to `path`; else no_update."""
    href = clicked["points"][0].get("customdata") if clicked else None
    return href if isinstance(href, str) and href.startswith(f"{path}?") else no_update


clientside_callback(
    ClientsideFunction("saefari", "downloadSvg"),
    Output({"type": "svg", "name": MATCH}, "title"),
    Input({"type": "svg", "name": MATCH}, "n_clicks"),
    State({"type": "svg", "name": MATCH}, "id"),
    prevent_initial_call=True,
)
