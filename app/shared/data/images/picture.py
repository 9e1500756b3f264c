"""A row's image: its URL, and the patch that each position covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.shared.data.images.served import view_address
from saefari.errors import StoreError
from saefari.store import has_images

_COLUMNS = ["image", "grid", "patch", "valid"]
Grid = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """An image as the model received it.

    name: the dataset's name of it. src: URL in this app, or a `data:` URL. grid: (rows, columns) of patches.
    patch: int64 [n_positions], for each valid position its cell of the grid, row by row, or -1 outside the image.
    first_is_class: whether the first position is a vision transformer's class token.
    """

    name: str
    src: str
    grid: Grid
    patch: np.ndarray
    first_is_class: bool = False

    def place(self, position: int) -> tuple[int, int] | None:
        """(row, column) of a position, counted from 0 at the top left; None outside the image."""
        cell = int(self.patch[position])
        return None if cell < 0 else divmod(cell, self.grid[1])

    def cells(self, values: np.ndarray) -> dict[int, int]:
        """Map cell -> position, by ascending cell. values: [n_positions].

        Of several positions in one cell, choose the one with the largest value, the first of equals.
        """
        order = np.lexsort((np.arange(len(values)), -values, self.patch))
        order = order[self.patch[order] >= 0]
        cells, first = np.unique(self.patch[order], return_index=True)
        return dict(zip(cells.tolist(), order[first].tolist(), strict=True))


def image_columns(samples: Path) -> list[str]:
    """Columns of samples.parquet that `stored_picture` needs; none if the split has no images."""
    return _COLUMNS if shows_images(samples) else []


def shows_images(samples: Path) -> bool:
    """Whether a split has images; False if that cannot be read (reading its rows reports the error)."""
    try:
        return has_images(samples)
    except (StoreError, OSError, ValueError):
        return False


def stored_picture(samples: Path, row: int, stored: Mapping[str, Any]) -> Picture | None:
    """Build a row's image from its `text` and `image_columns`; None if it has no image. samples: the split's folder.

    Raises StoreError if patches and grid do not match.
    """
    if stored.get("grid") is None:
        return None
    grid, patch = stored["grid"], np.asarray(stored["patch"] or [], dtype=np.int64)
    valid = stored["valid"] or []
    fits = len(grid) == 2 and min(grid) > 0 and len(patch) == len(valid)
    if not fits or (len(patch) and not (patch.min() >= -1 and patch.max() < grid[0] * grid[1])):
        raise StoreError(f"the patches of row {row} do not fit its image's grid; run the extraction again")
    begins = bool(valid) and valid[0] == 0 and patch[0] == -1 and not stored.get("text")
    return Picture(
        stored["image"] or f"image of row {row}",
        f"{view_address(samples)}{row}",
        (int(grid[0]), int(grid[1])),
        patch,
        begins,
    )
