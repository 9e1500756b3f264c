"""An image with the strength of something over each of its patches."""

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
"""Pixels of an image's longer side, where the page is wide enough."""
MOST_PATCHES = 4096
"""Of a finer grid only the patches with a value can be pointed at: each costs the browser an element."""


def picture_view(picture: Picture, size: int, alt: str = "", patches: Any = None) -> html.Div:
    """The image, small ones enlarged crisply. size: pixels of the longer side; patches: what lies over it."""
    rows, columns = picture.grid
    image = html.Img(src=picture.src, alt=alt or picture.name, style={"aspectRatio": f"auto {columns} / {rows}"})
    parts = [image] if patches is None else [image, patches]
    return html.Div(parts, className="view", style={"--size": f"{size}px", "--ratio": f"{columns / rows:.4f}"})


def heat_map(picture: Picture, shading: Shading) -> html.Div:
    """The image under patches shaded as tokens are; the patch with the largest value is outlined.

    Pointing at a patch, or going to it with the arrow keys (assets/dashboard.js), tells its value.
    """
    cells = picture.cells(shading.values)
    if len(cells) > MOST_PATCHES:
        cells = {cell: i for cell, i in cells.items() if shading.value(i) != 0}
    strongest = _strongest(cells, shading.values)
    first = shading.picked if shading.picked in cells.values() else cells.get(strongest, min(cells.values(), default=0))
    patches = []
    for cell, i in cells.items():
        tip = f"{patch_name(*divmod(cell, picture.grid[1]))}: {shading.tip(i)}"
        said: dict[str, Any] = {"data-cell": str(cell), "data-said": tip, "aria-label": tip}
        if shading.value(i) != 0:
            said["data-value"] = f"{shading.value(i):.4g}"
        patches.append(
            html.Button(
                className=_class(shading.value(i), shading.peak, cell == strongest),
                style=_area(picture, cell) | shading.style(i),
                tabIndex=0 if i == first else -1,
                **said,
                **shading.marks(i),
            )
        )
    label: Any = {"aria-label": f"Patches of {picture.name}; arrow keys go from one to the next"}
    return picture_view(picture, LARGE, patches=_grid(picture, patches, role="group", **label))


def small_heat_map(picture: Picture, values: np.ndarray, peak: float, alt: str) -> html.Div:
    """The same in small, to be looked at: patches without a value cost nothing.

    values: [n_positions], not below 0. peak: the value of full strength. alt: what is to be seen.
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
    """What the shades mean: from 0, or where something is below it from −peak, to peak."""
    against = bool((shading.values < 0).any())
    low, high = f"−{shading.peak:.3g}" if against else "0", f"{shading.peak:.3g}"
    label: Any = {"aria-label": f"Colours from {low} to {high}"}
    bar = html.Div(className="scale scale-against" if against else "scale", role="img", **label)
    note = f"{shading.unit}; outlined: the strongest patch" + ("; dashed: well below 0" if against else "")
    ends = [dmc.Text(low, size="xs", span=True), bar, dmc.Text(high, size="xs", span=True)]
    return dmc.Group([*ends, dmc.Text(note, size="xs", c="dimmed", span=True)], gap=6)


def _grid(picture: Picture, patches: list[Any], **attributes: Any) -> html.Div:
    rows, columns = picture.grid
    style = {"gridTemplate": f"repeat({rows}, 1fr) / repeat({columns}, 1fr)"}
    return html.Div(patches, className="patches", style=style, **attributes)


def _strongest(cells: dict[int, int], values: np.ndarray) -> int:
    """The cell of the largest value, the first where equal; -1 where none is above 0."""
    best = max(cells, key=lambda cell: (values[cells[cell]], -cell), default=-1)
    return best if best >= 0 and values[cells[best]] > 0 else -1


def _class(value: float, peak: float, strongest: bool) -> str:
    """What is hardly below 0 is not marked beside its colour: lines everywhere would hide the picture."""
    return "patch" + " patch-strongest" * strongest + " patch-against" * (value < -peak / 4)


def _area(picture: Picture, cell: int) -> dict[str, str]:
    row, column = divmod(cell, picture.grid[1])
    return {"gridArea": f"{row + 1} / {column + 1}"}
