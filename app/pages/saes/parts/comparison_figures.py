"""Figures that compare SAEs: L0 against FVU with the Pareto front, and CV macro-F1 against L0 or FVU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.pages.saes.data.scores import SaeScore
from app.shared.data.sae_quality import architecture, n_latents
from app.shared.data.saes import Sae
from app.shared.labels import escape, sae_title, score, short_model
from app.shared.parts.figure import COUNTS, DASHES, PALETTE, SYMBOLS, colours, styled
from app.shared.permalinks import link
from saefari.pareto import on_front

AGAINST = {"l0": "L0", "fvu": "FVU"}
_TITLES = {"l0": "L0: active latents per position", "fvu": "FVU"}
_UNKNOWN = "unknown architecture"
_SMALLEST, _LARGEST = 9, 20
"""Sizes in pixels of the marks of the SAEs with the fewest and the most latents."""

Point = Mapping[str, Any]
"""One mark: sae, x, y, text (tooltip), group, d_sae and href."""


def pareto_figure(rows: Sequence[Mapping[str, Any]], chosen: str, kept: Mapping[str, str]) -> go.Figure:
    """L0 against FVU of SAEs of one model and layer on the same positions, with Pareto front and the chosen SAE.

    rows: of `quality_rows`. A mark's customdata is its SAE's page. kept: URL parameters to keep in this link.
    """
    shown = [row for row in rows if row["l0"] and row["fvu"] is not None]
    front = on_front([(row["l0"], row["fvu"]) for row in shown])
    line = sorted((row for row, best in zip(shown, front, strict=True) if best), key=lambda row: row["l0"])
    figure = go.Figure()
    figure.add_scatter(
        x=[row["l0"] for row in line],
        y=[row["fvu"] for row in line],
        name="Pareto front",
        mode="lines",
        line={"color": PALETTE[-1], "width": 1, "dash": "dash"},
        hoverinfo="skip",
    )
    points = [
        {
            "sae": row["sae"],
            "x": row["l0"],
            "y": row["fvu"],
            "text": escape(row["title"]) + (f"<br>{row['d_sae']:,} latents" if row["d_sae"] else ""),
            "group": row["architecture"] or _UNKNOWN,
            "d_sae": row["d_sae"],
            "href": link("/saes", sae=row["sae"], **kept),
        }
        for row in shown
    ]
    _add_points(figure, points, "L0 %{x:.1f}, FVU %{y:.3f}")
    _add_ring(figure, points, chosen)
    _l0_axis(figure)
    return _with_legend_below(figure, yaxis={"title": {"text": "FVU"}, "rangemode": "nonnegative"})


def scores_figure(
    scores: Sequence[SaeScore],
    baselines: Sequence[tuple[str, float]],
    against: str,
    chosen: str,
    kept: Mapping[str, str],
) -> go.Figure:
    """CV macro-F1 of each SAE on one dataset against its L0 or FVU, with baselines as lines.

    against: a key of AGAINST. A mark's customdata is its SAE's page. kept: URL parameters to keep in this link.
    """
    layers = _layer_names([one.sae for one in scores])
    points = [
        {
            "sae": one.sae.id,
            "x": x,
            "y": one.row.cv_macro_f1,
            "text": escape(sae_title(one.sae))
            + f"<br>{escape(one.row.classifier)}, test macro-F1 "
            + score(one.row.macro_f1, one.row.macro_f1_low, one.row.macro_f1_high),
            "group": (architecture(one.sae) or _UNKNOWN) + layers[one.sae.model, one.sae.layer],
            "d_sae": n_latents(one.sae),
            "href": link("/saes", sae=one.sae.id, **kept),
        }
        for one in scores
        if (x := getattr(one.measured, against)) is not None and (x > 0 or against == "fvu")
    ]
    figure = go.Figure()
    _add_points(figure, points, f"{against.upper()} %{{x:.3g}}, CV macro-F1 %{{y:.3f}}")
    _add_ring(figure, points, chosen)
    for (name, height), dash in zip(baselines, DASHES[1:] * len(baselines), strict=False):
        figure.add_hline(
            height,
            line={"color": PALETTE[-1], "width": 1, "dash": dash},
            annotation_text=escape(f"{name} {height:.3f}"),
        )
    if against == "l0":
        _l0_axis(figure)
    return _with_legend_below(figure, xaxis_title=_TITLES[against], yaxis_title="CV macro-F1")


def _layer_names(saes: Sequence[Sae]) -> dict[tuple[str, int], str]:
    """Suffix that identifies each model and layer; empty if there is only one."""
    places = dict.fromkeys((sae.model, sae.layer) for sae in saes)
    several_models = len({model for model, _ in places}) > 1
    return {
        (model, layer): ", " + (f"{short_model(model)} " if several_models else "") + f"layer {layer}"
        if len(places) > 1
        else ""
        for model, layer in places
    }


def _with_legend_below(figure: go.Figure, **layout: Any) -> go.Figure:
    """Put the legend below the plot, and enlarge the figure by the legend's height."""
    legend = {"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0}
    margin = {"l": 56, "r": 16, "t": 16, "b": 48}
    return styled(figure, height=360 + 14 * len(figure.data), showlegend=True, legend=legend, margin=margin, **layout)


def _add_points(figure: go.Figure, points: Sequence[Point], tooltip: str) -> None:
    """Add one trace per group with its own colour and symbol; mark size grows with the number of latents."""
    sizes = _sizes([point["d_sae"] for point in points])
    groups = sorted({point["group"] for point in points})
    for i, (group, colour) in enumerate(zip(groups, colours(len(groups)), strict=True)):
        members = [(point, size) for point, size in zip(points, sizes, strict=True) if point["group"] == group]
        figure.add_scatter(
            x=[point["x"] for point, _ in members],
            y=[point["y"] for point, _ in members],
            text=[point["text"] for point, _ in members],
            customdata=[point["href"] for point, _ in members],
            name=escape(group),
            mode="markers",
            marker={
                "color": colour,
                "symbol": SYMBOLS[(i + i // len(PALETTE)) % len(SYMBOLS)],
                "size": [size for _, size in members],
            },
            hovertemplate=f"%{{text}}<br>{tooltip}<extra></extra>",
        )


def _add_ring(figure: go.Figure, points: Sequence[Point], chosen: str) -> None:
    ringed = [point for point in points if point["sae"] == chosen]
    figure.add_scatter(
        x=[point["x"] for point in ringed],
        y=[point["y"] for point in ringed],
        name="selected SAE",
        mode="markers",
        marker={"symbol": "circle-open", "size": _LARGEST + 6, "color": PALETTE[3], "line": {"width": 2}},
        hoverinfo="skip",
    )


def _sizes(latents: Sequence[int | None]) -> list[float]:
    """Size in pixels of each mark, by the logarithm of its number of latents."""
    logs = [math.log2(one) if one else None for one in latents]
    known = [one for one in logs if one is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return [
        _SMALLEST if log is None or not span else _SMALLEST + (_LARGEST - _SMALLEST) * (log - low) / span
        for log in logs
    ]


def _l0_axis(figure: go.Figure) -> None:
    figure.update_xaxes(type="log", tickvals=COUNTS, title_text=_TITLES["l0"])
