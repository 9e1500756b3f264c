"""Top features of a classifier, as bars and as a table with links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
import plotly.graph_objects as go

from app.shared.data.top_features import TopFeature
from app.shared.labels import escape
from app.shared.parts.figure import PALETTE, styled
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.images.thumbnails import ROW_HEIGHT, thumbnail_column
from app.shared.parts.names import name_columns, name_fields, tick, tooltip_lines

_LETTERS = 32


def bars_figure(features: Sequence[TopFeature], signed: bool) -> go.Figure:
    """Bars, strongest on top; a bar's customdata is its latent's page."""
    positions = list(range(len(features)))
    against = [feature.strength < 0 for feature in features]
    figure = go.Figure(
        go.Bar(
            x=[feature.strength for feature in features],
            y=positions,
            orientation="h",
            marker={
                "color": [PALETTE[1] if one else PALETTE[0] for one in against],
                "pattern": {"shape": ["/" if one else "" for one in against]},
            },
            customdata=[feature.name.href for feature in features],
            hovertext=[_hover(feature, signed) for feature in features],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    labels = [tick(feature.name, _LETTERS) for feature in features]
    longest = max(len(feature.name.short_text(_LETTERS)) for feature in features)
    title = "weight (negative: against the class)" if signed else "importance"
    return styled(
        figure,
        height=90 + 24 * len(features),
        xaxis={"title": title, "zeroline": True},
        yaxis={"tickvals": positions, "ticktext": labels, "autorange": "reversed", "showgrid": False},
        margin={"l": 40 + 7 * longest, "r": 16, "t": 16, "b": 48},
        bargap=0.25,
    )


def features_table(features: Sequence[TopFeature], signed: bool) -> dmc.Stack:
    """Table of the features, with keyboard-accessible links and facts about each latent."""
    rows = [
        name_fields(feature.name)
        | {
            "strength": feature.strength,
            "side": ("against" if feature.strength < 0 else "for") if signed else ", ".join(feature.higher),
            "density": feature.note.density,
            "tokens": " ".join(feature.note.tokens),
            "image": feature.note.image,
        }
        for feature in features
    ]
    first, *others = name_columns([feature.name for feature in features], "feature", width=190)
    columns = [first, number_column("strength", "weight" if signed else "importance", 3, width=130), *others]
    if any(feature.note.image for feature in features):
        columns.append(thumbnail_column("image", "strongest in", width=110))
    if signed or any(feature.higher for feature in features):
        title = "for or against" if signed else "higher in"
        columns.append(text_column("side", title, tooltipField="side", flex=1, minWidth=130))
    columns += _known_columns(features)
    heights = {"dashGridOptions": {"rowHeight": ROW_HEIGHT}} if any(row["image"] for row in rows) else {}
    return grid("features", columns, rows, height=560, **heights)


def _known_columns(features: Sequence[TopFeature]) -> list[dict[str, Any]]:
    """Columns of facts that are known for at least one latent."""
    columns = []
    if any(feature.note.density is not None for feature in features):
        columns.append(number_column("density", "density", 4, width=115))
    if any(feature.note.tokens for feature in features):
        columns.append(text_column("tokens", "top tokens", tooltipField="tokens", width=180))
    return columns


def _hover(feature: TopFeature, signed: bool) -> str:
    note = feature.note
    lines = [*tooltip_lines(feature.name), f"{'weight' if signed else 'importance'} {feature.strength:.3g}"]
    if feature.higher:
        lines.append("higher in: " + escape(", ".join(feature.higher[:8])) + (" …" if len(feature.higher) > 8 else ""))
    if note.density is not None:
        lines.append(f"density {note.density:.2%} of positions")
    if note.tokens:
        lines.append("top tokens: " + escape(" ".join(note.tokens)))
    return "<br>".join(lines)
