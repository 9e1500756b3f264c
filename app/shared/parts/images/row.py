"""Render one sample: image with heat map, text with shaded tokens, and the remaining (special) positions."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import numpy as np
from dash import html

from app.shared.data.images.picture import Picture
from app.shared.data.images.positions import position_name
from app.shared.parts.images.heat_map import LARGE, SMALL, colour_scale, heat_map, picture_view
from app.shared.parts.images.shading import Shading
from app.shared.parts.tokens import coloured_text


def shaded_row(text: str | None, spans: np.ndarray, picture: Picture | None, shading: Shading) -> Any:
    """Render all positions of a row, shaded by value. spans: int [n_positions, 2], the characters of each token."""
    if picture is None:
        return _shaded_text(text or "", spans, shading, np.arange(len(spans)))
    tokens = (spans[:, 1] > spans[:, 0]) & (picture.patch < 0)
    special = np.flatnonzero((picture.patch < 0) & ~tokens).tolist()
    beside: list[Any] = [picture_view(picture, SMALL), _name(picture)]
    if special:
        chips = [_chip(position_name(text, (0, 0), picture, i), shading, i) for i in special]
        beside.append(html.Div(["Special positions: ", *chips], className="chips"))
    shaded: list[Any] = [heat_map(picture, shading), *([colour_scale(shading)] if shading.peak > 0 else [])]
    parts: list[Any] = [html.Div([html.Div(shaded, className="shaded"), html.Div(beside)], className="views")]
    if text:
        parts.append(_shaded_text(text, spans, shading, np.flatnonzero(tokens)))
    return dmc.Stack(parts, gap="xs")


def plain_row(text: str | None, picture: Picture | None) -> Any:
    """Render image and text without shading."""
    parts: list[Any] = [] if picture is None else [picture_view(picture, LARGE), _name(picture)]
    if text:
        parts.append(html.Div(text, className="tokens"))
    return dmc.Stack(parts, gap=4)


def _shaded_text(text: str, spans: np.ndarray, shading: Shading, positions: np.ndarray) -> html.Div:
    """Render the text with the given positions as its tokens."""
    return coloured_text(
        text,
        spans[positions],
        shading.values[positions],
        shading.peak,
        lambda i: shading.tip(int(positions[i])),
        shading.pickable,
        shading.picked,
        positions.tolist(),
    )


def _name(picture: Picture) -> dmc.Text:
    return dmc.Text(picture.name, size="sm", c="dimmed", className="image-name")


def _chip(name: str, shading: Shading, position: int) -> html.Button:
    strong = " token-strong" * shading.is_strong(position)
    label = f"{name}: {shading.tip(position)}"
    return html.Button(label, className="chip" + strong, style=shading.style(position), **shading.marks(position))
