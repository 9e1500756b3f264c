"""An image with a heat map over its patches."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import numpy as np
from dash import html

from app.shared.data.images.picture import Picture
from app.shared.data.images.positions import patch_name
from app.shared.parts.images.shading import Shading
from app.shared.parts.tokens import shade

LARGE, SMALL = 384, 176
"""Longer side of an image in pixels, if the page is wide enough."""
MOST_PATCHES = 4096
"""In a finer grid, only patches with a nonzero value are interactive, since each one is a DOM element."""


def picture_view(picture: Picture, size: int, alt: str = "", patches: Any = None) -> html.Div:
    """An image, enlarged without smoothing if small. size: longer side in pixels. patches: overlay."""
    rows, columns = picture.grid
    image = html.Img(src=picture.src, alt=alt or picture.name, style={"aspectRatio": f"auto {columns} / {rows}"})
    parts = [image] if patches is None else [image, patches]
    return html.Div(parts, className="view", style={"--size": f"{size}px", "--ratio": f"{columns / rows:.4f}"})


def heat_map(picture: Picture, shading: Shading) -> html.Div:
    """An image with shaded patches; the patch with the largest value is outlined.

    Hovering over a patch, or moving to it with the arrow keys (assets/dashboard.js), shows its value.
    """
    cells = picture.cells(shading.values)
    if len(cells) > MOST_PATCHES:
        cells = {cell: i for cell, i in cells.items() if shading.value(i) != 0}
    strongest = _strongest(cells, shading.values)
    first = shading.picked if shading.picked in cells.values() else cells.get(strongest, min(cells.values(), default=0))
    patches = []
    for cell, i in cells.items():
        tip = f"{patch_name(*divmod(cell, picture.grid[1]))}: {shading.tip(i)}"
        attributes: dict[str, Any] = {"data-cell": str(cell), "data-tip": tip, "aria-label": tip}
        if shading.value(i) != 0:
            attributes["data-value"] = f"{shading.value(i):.4g}"
        patches.append(
            html.Button(
                className=_class(shading.value(i), shading.peak, cell == strongest),
                style=_area(picture, cell) | shading.style(i),
                tabIndex=0 if i == first else -1,
                **attributes,
                **shading.marks(i),
            )
        )
    label: Any = {"aria-label": f"Patches of {picture.name}; use the arrow keys to move between them"}
    return picture_view(picture, LARGE, patches=_grid(picture, patches, role="group", **label))


def small_heat_map(picture: Picture, values: np.ndarray, peak: float, alt: str) -> html.Div:
    """A small heat map without interaction; only patches with a value are drawn.

    values: [n_positions], at least 0. peak: the value of full colour. alt: description of the image.
    """
    cells = {cell: i for cell, i in picture.cells(values).items() if values[i] > 0}
    strongest = _strongest(cells, values)
    patches = [
        html.Span(
            className=_class(float(values[i]), peak, cell == strongest),
            style=_area(picture, cell) | shade(float(values[i]), peak),
            title=f"{patch_name(*divmod(cell, picture.grid[1]))}: {values[i]:.3g}",
        )
        for cell, i in cells.items()
    ]
    return picture_view(picture, SMALL, alt, _grid(picture, patches))


def colour_scale(shading: Shading) -> dmc.Group:
    """Colour scale from 0, or from −peak if there are negative values, to peak."""
    against = bool((shading.values < 0).any())
    low, high = f"−{shading.peak:.3g}" if against else "0", f"{shading.peak:.3g}"
    label: Any = {"aria-label": f"Colours from {low} to {high}"}
    bar = html.Div(className="scale scale-against" if against else "scale", role="img", **label)
    note = f"{shading.unit}; outlined: the strongest patch" + ("; dashed: clearly below 0" if against else "")
    ends = [dmc.Text(low, size="xs", span=True), bar, dmc.Text(high, size="xs", span=True)]
    return dmc.Group([*ends, dmc.Text(note, size="xs", c="dimmed", span=True)], gap=6)


def _grid(picture: Picture, patches: list[Any], **attributes: Any) -> html.Div:
    rows, columns = picture.grid
    style = {"gridTemplate": f"repeat({rows}, 1fr) / repeat({columns}, 1fr)"}
    return html.Div(patches, className="patches", style=style, **attributes)


def _strongest(cells: dict[int, int], values: np.ndarray) -> int:
    """The cell with the largest value, the first of equals; -1 if none is above 0."""
    best = max(cells, key=lambda cell: (values[cells[cell]], -cell), default=-1)
    return best if best >= 0 and values[cells[best]] > 0 else -1


def _class(value: float, peak: float, strongest: bool) -> str:
    """CSS classes of a patch. Values slightly below 0 get no outline, which would hide the image."""
    return "patch" + " patch-strongest" * strongest + " patch-against" * (value < -peak / 4)


def _area(picture: Picture, cell: int) -> dict[str, str]:
    row, column = divmod(cell, picture.grid[1])
    return {"gridArea": f"{row + 1} / {column + 1}"}
