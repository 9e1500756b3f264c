"""Contexts with images."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from saefari.interp.records import Context, ContextImage

GRID = (6, 6)


def picture(row: int, active: Sequence[int], label: str | None = None) -> Context:
    """A grey image of 12 x 12 pixels; active: cells with activation 1. -1 is the class token, outside the image."""
    buffer = io.BytesIO()
    Image.new("L", (12, 12), 100 + row).save(buffer, "PNG")
    patches = np.concatenate([[-1], np.arange(GRID[0] * GRID[1])]).astype(np.int32)
    names = tuple("cls" if cell < 0 else f"patch row {cell // GRID[1]}, column {cell % GRID[1]}" for cell in patches)
    values = np.isin(patches, active).astype(np.float32)
    return Context("digits", row, 0, names, values, label, ContextImage(buffer.getvalue(), GRID, patches))
