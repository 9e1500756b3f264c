"""Images as a model saw them, and where in them latents are active.

A view is divided into a grid of cells, numbered row by row; a position that saw part of the image names its cell in
`patch`. Where an image was read in several tiles, more than one position may name the same cell.
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
"""Left, top, right and bottom of a cell, as fractions of the view's width and height."""
_COLUMNS = ("row", "image", "view", "grid", "patch")


@dataclass(frozen=True)
class ImageView:
    """One row's image as the model saw it.

    row: its number in the dataset. name: what the dataset calls the image. encoded: a PNG or JPEG in RGB.
    grid: rows and columns of its cells. patch: int32 [n_positions], the cell of each position that counts, -1 where
    it has no place in the image.
    """

    row: int
    name: str
    encoded: bytes
    grid: tuple[int, int]
    patch: np.ndarray

    def heat_map(self, activations: np.ndarray) -> np.ndarray:
        """float32 [rows, columns]: the largest of the activations [n_positions] in each cell, 0 where there are none.

        Raises ValueError when there is not one activation per position.
        """
        if len(activations) != len(self.patch):
            raise ValueError(f"{len(activations)} activations of {len(self.patch)} positions")
        cells = np.full(self.grid, -np.inf, dtype=np.float32)  # what is shown on a map may be below 0
        placed = self.patch >= 0
        np.maximum.at(cells.reshape(-1), self.patch[placed], np.asarray(activations, dtype=np.float32)[placed])
        return np.where(np.isneginf(cells), np.float32(0), cells)


def cell_box(cell: int, grid: tuple[int, int]) -> Box:
    """Where a cell of a grid of (rows, columns) lies in the view."""
    rows, columns = grid
    r, c = divmod(cell, columns)
    return c / columns, r / rows, (c + 1) / columns, (r + 1) / rows


def read_views(folder: Path, rows: Sequence[int]) -> list[ImageView | None]:
    """The views of dataset rows, in their order; None where a row has no image. folder: a split's samples.

    Raises StoreError where samples.parquet is missing, lacks a row or holds no images, or a row is damaged.
    """
    return [_view(folder, stored) for stored in read_sample_rows(folder, rows, _COLUMNS).to_pylist()]


def read_heat_map(folder: Path, row: int, latent: int) -> tuple[ImageView, np.ndarray]:
    """A row's view, and where in it one latent is active: float32 [rows, columns] of the view's grid.

    folder: that of one SAE's codes, below the split's samples. Raises StoreError where the row or its image is not
    stored, the SAE has no such latent, or the codes belong to other samples.
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
        raise StoreError(f"{folder}: the patches of row {row} do not lie in its grid: run the extraction again")
    return ImageView(row, stored["image"] or f"row {row}", stored["view"], (grid[0], grid[1]), patch)
