"""Images as a model sees them, and heat maps of latent activations over them.

A view is divided into a grid of cells, numbered row by row; `patch` maps each position to its cell. If the model reads
an image in several tiles, several positions may map to the same cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saefari.errors import StoreError
from saefari.store.row_access import read_codes_rows, read_sample_rows

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge of a cell, as fractions of the view's width and height."""
_COLUMNS = ("row", "image", "view", "grid", "patch")


@dataclass(frozen=True)
class ImageView:
    """Image of one row as the model sees it.

    row: dataset row number. name: the image's name in the dataset. encoded: PNG or JPEG, RGB.
    grid: (rows, columns) of cells. patch: int32 [n_positions], the cell of each valid position; -1 for positions
    outside the image.
    """

    row: int
    name: str
    encoded: bytes
    grid: tuple[int, int]
    patch: np.ndarray

    def heat_map(self, activations: np.ndarray) -> np.ndarray:
        """Return the maximum activation per cell, float32 [rows, columns]; 0 for cells without a position.

        activations: [n_positions]. Raises ValueError for another length.
        """
        if len(activations) != len(self.patch):
            raise ValueError(f"{len(activations)} activations of {len(self.patch)} positions")
        cells = np.full(self.grid, -np.inf, dtype=np.float32)  # values may be negative
        placed = self.patch >= 0
        np.maximum.at(cells.reshape(-1), self.patch[placed], np.asarray(activations, dtype=np.float32)[placed])
        return np.where(np.isneginf(cells), np.float32(0), cells)


def cell_box(cell: int, grid: tuple[int, int]) -> Box:
    """Return the box of a cell. grid: (rows, columns)."""
    rows, columns = grid
    r, c = divmod(cell, columns)
    return c / columns, r / rows, (c + 1) / columns, (r + 1) / rows


def read_views(folder: Path, rows: Sequence[int]) -> list[ImageView | None]:
    """Return the views of dataset rows, in the given order; None for rows without an image.

    folder: a split's samples. Raises StoreError if samples.parquet is missing or damaged, or lacks a row or images.
    """
    return [_view(folder, stored) for stored in read_sample_rows(folder, rows, _COLUMNS).to_pylist()]


def read_heat_map(folder: Path, row: int, latent: int) -> tuple[ImageView, np.ndarray]:
    """Return a row's view and the heat map of one latent, float32 [rows, columns] of the view's grid.

    folder: codes of one SAE, below the split's samples. Raises StoreError if the row or its image is not stored, the
    SAE has no such latent, or the codes were made from other samples.
    """
    codes = read_codes_rows(folder, [row])
    if not 0 <= latent < codes.d_sae:
        raise StoreError(f"{folder} has latents 0 to {codes.d_sae - 1}, not {latent}")
    (view,) = read_views(folder.parents[1], [row])
    if view is None:
        raise StoreError(f"{folder.parents[1]}: row {row} has no image")
    activations = codes.to_csr()[:, [latent]].toarray()[:, 0]
    if len(activations) != len(view.patch):
        raise StoreError(f"{folder}: the codes of row {row} were made from other samples: run the extraction again")
    return view, view.heat_map(activations)


def _view(folder: Path, stored: dict[str, Any]) -> ImageView | None:
    if stored["view"] is None:
        return None
    row, grid, patch = stored["row"], tuple(stored["grid"] or ()), np.asarray(stored["patch"] or (), dtype=np.int32)
    if len(grid) != 2 or min(grid) < 1 or (patch >= grid[0] * grid[1]).any() or (patch < -1).any():
        raise StoreError(f"{folder}: the patches of row {row} are outside its grid: run the extraction again")
    return ImageView(row, stored["image"] or f"row {row}", stored["view"], (grid[0], grid[1]), patch)
