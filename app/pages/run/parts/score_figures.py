"""Figures of one result's scores: confusion matrix, ROC curves, cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.pages.run.data.scores import Candidate, row_shares
from app.shared.labels import escape, shortened
from app.shared.parts.figure import DASHES, PALETTE, SEQUENTIAL, SYMBOLS, colours, styled

_WITH_NUMBERS = 16
_LETTERS = 26


def confusion_figure(matrix: np.ndarray, classes: Sequence[str], as_shares: bool) -> go.Figure:
    """Confusion matrix as counts or as shares of each true class. matrix: int [K, K], rows are true classes."""
    shares = row_shares(matrix)
    few = len(classes) <= _WITH_NUMBERS
    names = [escape(name) for name in classes]
    places = list(range(len(classes)))
    hover = [
        [
            f"true: {names[i]}<br>predicted: {names[j]}<br>{matrix[i, j]:,} rows, {shares[i, j]:.1%} of {names[i]}"
            for j in places
        ]
        for i in places
    ]
    figure = go.Figure(
        go.Heatmap(
            x=places,
            y=places,
            z=shares if as_shares else matrix,
            zmin=0,
            zmax=1 if as_shares else None,
            colorscale=SEQUENTIAL,
            texttemplate=("%{z:.0%}" if as_shares else "%{z:,}") if few else None,
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
            colorbar={"title": "share of row" if as_shares else "rows", "tickformat": ".0%" if as_shares else ","},
            xgap=1 if few else 0,
            ygap=1 if few else 0,
        )
    )
    labels = [escape(shortened(name, _LETTERS)) for name in classes]
    ticks = {"tickvals": places, "ticktext": labels, "tickfont": {"size": 12 if few else 9}, "showgrid": False}
    margin = min(190, 24 + max(len(label) for label in labels) * (7 if few else 5))
    return styled(
        figure,
        height=margin + 60 + len(classes) * (44 if few else 13),
        xaxis=ticks | {"title": "predicted", "tickangle": -90 if not few else -40, "zeroline": False},
        yaxis=ticks | {"title": "true", "autorange": "reversed", "zeroline": False},
        margin={"l": margin + 24, "r": 8, "t": 16, "b": round(margin * (0.75 if few else 1)) + 30},
    )


def confusion_width(n_classes: int) -> int:
    """Minimum width in pixels; with less, class names overlap."""
    return max(300, 190 + 36 * n_classes) if n_classes <= _WITH_NUMBERS else 300 + 9 * n_classes


def roc_figure(
    curves: Mapping[str, Any], areas: Mapping[str, float], shown: Sequence[str], micro: Mapping[str, Any] | None = None
) -> go.Figure:
    """ROC curves of the shown classes. micro: curve over all rows and classes."""
    figure = go.Figure()
    for i, (name, colour) in enumerate(zip(shown, colours(len(shown)), strict=True)):
        figure.add_trace(
            go.Scatter(
                x=curves[name]["fpr"],
                y=curves[name]["tpr"],
                mode="lines",
                name=f"{escape(shortened(name, _LETTERS))} ({areas[name]:.3f})",
                line={"color": colour, "dash": DASHES[i % len(DASHES)], "width": 2},
                hovertemplate=f"{escape(name)}<br>false positives %{{x:.1%}}<br>true positives %{{y:.1%}}"
                "<extra></extra>",
            )
        )
    if micro:
        line = {"color": PALETTE[7], "width": 2, "dash": "dashdot"}
        name = "all classes (micro average)"
        figure.add_trace(go.Scatter(x=micro["fpr"], y=micro["tpr"], mode="lines", name=name, line=line))
    chance = {"color": PALETTE[7], "width": 1, "dash": "dot"}
    figure.add_trace(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", name="chance", line=chance, hoverinfo="skip"))
    return styled(
        figure,
        height=480,
        xaxis={"title": "false positive rate", "range": [-0.01, 1.01]},
        yaxis={"title": "true positive rate", "range": [-0.01, 1.01]},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
    )


def folds_figure(found: Sequence[Candidate]) -> go.Figure:
    """Mean macro-F1 of each candidate with its lowest and highest fold; rings mark the chosen candidate's folds."""
    axis = _axis_setting(found)
    figure = go.Figure()
    lines: dict[str, list[Candidate]] = {}
    for one in found:
        lines.setdefault(describe(one.settings, without=axis), []).append(one)
    for i, ((name, members), colour) in enumerate(zip(lines.items(), colours(len(lines)), strict=True)):
        members = sorted(members, key=lambda one: one.settings[axis])
        means = np.array([one.mean for one in members])
        figure.add_trace(
            go.Scatter(
                x=[one.settings[axis] for one in members],
                y=means,
                error_y={
                    "array": [max(one.folds) - one.mean for one in members],
                    "arrayminus": [one.mean - min(one.folds) for one in members],
                    "thickness": 1,
                },
                mode="lines+markers",
                name=escape(name) or "mean",
                line={"color": colour, "dash": DASHES[i // len(PALETTE) % len(DASHES)]},
                marker={"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 8},
                hovertemplate=f"{escape(name)} {escape(axis)} %{{x}}<br>mean of folds %{{y:.3f}}<extra></extra>",
            )
        )
    for one in found:
        if one.chosen:
            figure.add_trace(_rings(one, axis))
    numbers = [float(one.settings[axis]) for one in found]
    logarithmic = min(numbers) > 0 and max(numbers) / min(numbers) > 50
    return styled(
        figure,
        height=380 + 20 * len(lines),
        xaxis={"title": axis, "type": "log" if logarithmic else "linear"}
        | ({"dtick": 1} if not logarithmic and max(numbers) - min(numbers) < 20 else {}),
        yaxis={"title": "macro-F1 on held-out folds"},
        legend={"orientation": "v", "yanchor": "bottom", "y": 1.0, "x": 0},
    )


def describe(settings: Mapping[str, Any], without: str = "") -> str:
    """Settings as text: `criterion gini, min_samples_leaf 5`."""
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in settings.items()
        if key != without
    )


def _axis_setting(found: Sequence[Candidate]) -> str:
    """The numeric setting with the most values. Raises ValueError if there is no numeric setting."""
    steps = {
        key: len({one.settings[key] for one in found})
        for key, value in found[0].settings.items()
        if isinstance(value, (int, float))
    }
    if not steps:
        raise ValueError("the candidates have no numeric setting")
    return max(steps, key=lambda key: steps[key])


def _rings(one: Candidate, axis: str) -> go.Scatter:
    return go.Scatter(
        x=[one.settings[axis]] * len(one.folds),
        y=one.folds,
        mode="markers",
        name="folds of the chosen candidate",
        marker={"symbol": "circle-open", "size": 12, "color": PALETTE[3], "line": {"width": 2}},
        hovertemplate="chosen: fold %{y:.3f}<extra></extra>",
    )
