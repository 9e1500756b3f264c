"""Names of image latents: the classes of their images, and the place and brightness of the active patches."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from saefari.interp.records import Context

_MOSTLY = 0.6
_LIFT = 1.5
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "middle", "right")
_BRIGHT = 0.72
"""Mean rank of the active patches by brightness in their image (1: the brightest) from which they count as bright."""


def describe_images(contexts: Sequence[Context], classes: Sequence[str], strongest: Sequence[str]) -> tuple[str, str]:
    """Return the name and sentence of an image latent.

    classes: those it leans to. strongest: those its strongest activations lean to.
    """
    tone, region = _tone(contexts), _region(contexts)
    place = " ".join(part for part in (tone, region or (tone and "patches")) if part)
    patches = f"{tone} {_in_sentence(region)}".strip()
    if classes:
        kind = _classes(classes)
        where = patches if place else "in any part of the image"
        return f"{kind}, {place}" if place else kind, f"Images of {kind}, {where}."
    if not place and not strongest:
        return "no common class or position", "Patches anywhere in images of various classes."
    sentence = f"{patches[0].upper()}{patches[1:]}, in images of various classes"
    if not strongest:
        return f"{place}, various classes", f"{sentence}."
    lean = f"strongest in {_classes(strongest)}"
    return f"{lean}, {place}" if place else lean, f"{sentence}, {lean}."


def _classes(names: Sequence[str]) -> str:
    return f"class{'es' if len(names) > 1 else ''} {' and '.join(names)}"


def _tone(contexts: Sequence[Context]) -> str:
    """Return "bright" or "dark" if the active patches are among those of their image, else ""."""
    total = weight = 0.0
    for context in contexts:
        if context.image is None:
            continue
        brightness = _brightness(context)
        for cell, activation in zip(context.image.patches.tolist(), context.activations.tolist(), strict=True):
            if cell >= 0 and activation > 0:
                below, equal = (brightness < brightness[cell]).mean(), (brightness == brightness[cell]).mean()
                total += activation * (below + equal / 2)
                weight += activation
    rank = total / weight if weight else 0.5
    return "bright" if rank >= _BRIGHT else "dark" if rank <= 1 - _BRIGHT else ""


def _brightness(context: Context) -> np.ndarray:
    """Return the mean brightness of each cell of a context's image, [n_cells], from 0 to 255."""
    assert context.image is not None
    rows, columns = context.image.grid
    with Image.open(BytesIO(context.image.png)) as opened:
        cells = opened.convert("L").resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(cells, dtype=np.float64).reshape(-1)


def _region(contexts: Sequence[Context]) -> str:
    """Return the part of the image in which most of the activation is; "" if there is none.

    Positions count by their activation; a part must hold 60% of it, and 1.5 times the share of the patches that it has.
    """
    active, present = np.zeros((3, 3)), np.zeros((3, 3))
    for context in contexts:
        if context.image is None:
            continue
        (n_rows, n_columns), cells = context.image.grid, context.image.patches
        for cell, activation in zip(cells.tolist(), context.activations.tolist(), strict=True):
            if cell >= 0:
                row, column = divmod(cell, n_columns)
                active[row * 3 // n_rows, column * 3 // n_columns] += activation
        every = np.arange(n_rows * n_columns)
        np.add.at(present, (every // n_columns * 3 // n_rows, every % n_columns * 3 // n_columns), 1)
    if active.sum() == 0:
        return ""
    active, present = active / active.sum(), present / present.sum()
    row, column = (_third(active.sum(axis=axis), present.sum(axis=axis)) for axis in (1, 0))
    if row is not None and column is not None:
        return "centre" if (row, column) == (1, 1) else f"{_ROWS[row]} {_COLUMNS[column]}"
    if row is not None:
        return f"{_ROWS[row]} rows"
    return "" if column is None else f"{_COLUMNS[column]} columns"


def _in_sentence(region: str) -> str:
    """Return "upper left patches", "patches in the upper rows", or "patches" without a region."""
    if region.endswith(("rows", "columns")):
        return f"patches in the {region}"
    return f"{region} patches".strip()


def _third(active: np.ndarray, present: np.ndarray) -> int | None:
    """Return the third of the image that holds most of the activation, if one does."""
    best = int(active.argmax())
    return best if active[best] >= _MOSTLY and active[best] >= _LIFT * present[best] else None
