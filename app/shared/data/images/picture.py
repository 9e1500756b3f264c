"""A row's image as the pages show it: where the browser gets it, and which part of it each position saw."""

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
    """What a model saw of an image.

    name: what the dataset calls it. src: its address, of this app, or its content as a `data:` address.
    grid: rows and columns of the patches that it is divided into. patch: int64 [n_positions], for each position that
    counts its cell of the grid, row by row, or -1 where it has no place in the image.
    first_is_class: whether the first position is a vision transformer's class token.
    """

    name: str
    src: str
    grid: Grid
    patch: np.ndarray
    first_is_class: bool = False

    def place(self, position: int) -> tuple[int, int] | None:
        """(row, column) of a position, counted from 0 at the top left; None where it has no place in the image."""
        cell = int(self.patch[position])
        return None if cell < 0 else divmod(cell, self.grid[1])

    def cells(self, values: np.ndarray) -> dict[int, int]:
        """cell -> its position, in the order of the cells; where several saw the same cell, the one of the largest
        value, the first where equal. values: [n_positions].
        """
        order = np.lexsort((np.arange(len(values)), -values, self.patch))
        order = order[self.patch[order] >= 0]
        cells, first = np.unique(self.patch[order], return_index=True)
        return dict(zip(cells.tolist(), order[first].tolist(), strict=True))


def image_columns(samples: Path) -> list[str]:
    """The columns of samples.parquet that `stored_picture` needs; none where the split has no images."""
    return _COLUMNS if shows_images(samples) else []


def shows_images(samples: Path) -> bool:
    """Whether a split holds images; what cannot be read is said by whatever reads its rows."""
    try:
        return has_images(samples)
    except (StoreError, OSError, ValueError):
        return False


def stored_picture(samples: Path, row: int, stored: Mapping[str, Any]) -> Picture | None:
    """The image of a row, from its text and `image_columns`; None where it has none. samples: the split's folder.

    Raises StoreError where its patches do not fit together.
    """
    if stored.get("grid") is None:
        return None
    grid, patch = stored["grid"], np.asarray(stored["patch"] or [], dtype=np.int64)
    valid = stored["valid"] or []
    fits = len(grid) == 2 and min(grid) > 0 and len(patch) == len(valid)
    if not fits or (len(patch) and not (patch.min() >= -1 and patch.max() < grid[0] * grid[1])):
        raise StoreError(f"the patches of row {row} do not lie in its image's grid: run the extraction again")
    begins = bool(valid) and valid[0] == 0 and patch[0] == -1 and not stored.get("text")
    return Picture(
        stored["image"] or f"image of row {row}",
        f"{view_address(samples)}{row}",
        (int(grid[0]), int(grid[1])),
        patch,
        begins,
    )
