"""Contact sheets: rows of captioned images on one page; lengths in inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saefari.data.images import ImageSource, decode_image
from saefari.report.png import png
from saefari.store import ImageView
from saefari.store.image_views import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARGIN, _GAP, _LINE, _BOX_MARGIN = 0.2, 0.14, 0.16, 0.013
_NARROWEST, _LETTERS_PER_INCH = 8.0, 9
_HEAT = (0.84, 0.24, 0.0)
_STRONGEST = 0.85
"""Opacity of a heat map at its maximum."""
_PALEST = 150
"""Grey level of black below a heat map."""
_MOST_PIXELS = 256
"""Maximum length of an image's longer side on a sheet."""


@dataclass(frozen=True)
class Tile:
    """One image of a sheet.

    pixels: uint8 [h, w, 3]. captions: lines below it. box: area to outline. heat: float32 [rows, columns], drawn over
    the image in colour, from 0 to its own maximum; the image itself is then light grey.
    """

    pixels: np.ndarray
    captions: Sequence[str]
    box: Box | None = None
    heat: np.ndarray | None = None


@dataclass(frozen=True)
class SheetRow:
    """A row of tiles, with a bold heading and lines of text on their left."""

    heading: str
    lines: Sequence[str]
    tiles: Sequence[Tile] = field(default_factory=tuple)


def pixels_of(view: ImageView) -> np.ndarray:
    """Decode a view to uint8 [h, w, 3] and reduce it to the size on a sheet. Raises BadImage."""
    image = decode_image(ImageSource(view.name, view.encoded))
    image.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    return np.asarray(image)


def short_caption(text: str, letters: int) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= letters else f"{line[: letters - 1]}…"


def draw_sheet(path: Path, title: str, notes: Sequence[str], rows: Sequence[SheetRow], tile: float) -> None:
    """Write a sheet as PNG. notes: lines below the title. tile: side of an image in inches.

    Raises StoreError if the file cannot be written.
    """
    n_columns = max(len(row.tiles) for row in rows)
    n_captions = max(len(one.captions) for row in rows for one in row.tiles)
    left, pitch = 2.5, tile + n_captions * _LINE + _GAP
    top = 0.62 + 0.2 * len(notes)
    width = max(_NARROWEST, left + n_columns * (tile + _GAP) + _MARGIN)
    height = top + len(rows) * pitch + _MARGIN
    with png(path) as figure:
        axes = _page(figure, width, height)
        title = short_caption(title, int(_LETTERS_PER_INCH * (width - 2 * _MARGIN)))
        axes.text(_MARGIN, 0.3, title, fontsize=12, fontweight="bold", va="center", parse_math=False)
        for i, note in enumerate(notes):
            axes.text(_MARGIN, 0.57 + 0.2 * i, note, fontsize=8.5, va="center", color="0.25", parse_math=False)
        for i, row in enumerate(rows):
            y = top + i * pitch
            axes.text(_MARGIN, y + 0.1, row.heading, fontsize=10, fontweight="bold", va="center", parse_math=False)
            for j, line in enumerate(row.lines):
                axes.text(_MARGIN, y + 0.32 + 0.18 * j, line, fontsize=8.5, va="center", color="0.25", parse_math=False)
            for j, one in enumerate(row.tiles):
                _draw_tile(axes, one, left + j * (tile + _GAP), y, tile)


def _page(figure: Figure, width: float, height: float) -> Axes:
    """Return axes over the entire figure, in inches from its upper left corner."""
    figure.set_layout_engine("none")
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    return axes


def _draw_tile(axes: Axes, tile: Tile, x: float, y: float, side: float) -> None:
    from matplotlib.patches import Rectangle

    h, w = tile.pixels.shape[:2]
    width, height = side * w / max(h, w), side * h / max(h, w)
    extent = (x, x + width, y + height, y)
    shown = tile.pixels if tile.heat is None else _light_grey(tile.pixels)
    axes.imshow(shown, extent=extent, aspect="auto")
    if tile.heat is not None:
        axes.imshow(_coloured(tile.heat), extent=extent, aspect="auto", interpolation="nearest")
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor="0.6", linewidth=0.5))
    if tile.box is not None:
        x0, y0, x1, y1 = tile.box
        corner = x + x0 * width - _BOX_MARGIN, y + y0 * height - _BOX_MARGIN
        size = (x1 - x0) * width + 2 * _BOX_MARGIN, (y1 - y0) * height + 2 * _BOX_MARGIN
        for colour, line in (("black", 3.2), ("#FFD400", 1.6)):  # visible on dark and on light images
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=line))
    for i, caption in enumerate(tile.captions):
        axes.text(x, y + height + (i + 0.6) * _LINE, caption, fontsize=8, va="center", parse_math=False)


def _light_grey(pixels: np.ndarray) -> np.ndarray:
    """Convert to light grey, so that a coloured overlay is visible."""
    grey = pixels.astype(np.float32).mean(axis=2, keepdims=True)
    light_grey: np.ndarray = np.repeat(_PALEST + grey * ((255 - _PALEST) / 255), 3, axis=2).astype(np.uint8)
    return light_grey


def _coloured(heat: np.ndarray) -> np.ndarray:
    """Return RGBA float32 [rows, columns, 4] with opacity proportional to heat."""
    opacity = _STRONGEST * heat / max(float(heat.max()), np.finfo(np.float32).tiny)
    return np.dstack([np.broadcast_to(np.float32(part), heat.shape) for part in _HEAT] + [opacity]).astype(np.float32)
