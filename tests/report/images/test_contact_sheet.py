"""Contact sheets: positions of outlines and heat maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saefari.report.images.contact_sheet import SheetRow, Tile, draw_sheet

PURPLE = np.full((4, 8, 3), (120, 0, 200), dtype=np.uint8)
"""Wider than high."""
Colour = tuple[float, float, float]


def drawn(folder: Path, tile: Tile) -> np.ndarray:
    """The sheet's pixels, int [h, w, 3]."""
    draw_sheet(folder / "sheet.png", "title", ["note"], [SheetRow("row", ["line"], [tile])], 1.0)
    with Image.open(folder / "sheet.png") as image:
        return np.asarray(image.convert("RGB")).astype(int)


def extent(pixels: np.ndarray, colour: Colour) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of about this colour."""
    rows, columns = np.nonzero((abs(pixels - np.asarray(colour)) <= 3).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_the_box_is_outlined(tmp_path: Path) -> None:
    pixels = drawn(tmp_path, Tile(PURPLE, ["caption"], box=(0.5, 0, 0.75, 0.5)))
    left, top, right, bottom = extent(pixels, (120, 0, 200))
    assert (right - left, bottom - top) == (pytest.approx(120, abs=3), pytest.approx(60, abs=3))
    outlined = extent(pixels, (255, 212, 0))
    wanted = (left + 60, top, left + 90, top + 30)
    assert np.abs(np.subtract(outlined, wanted)).max() <= 5


def test_the_strongest_cell_is_coloured_most(tmp_path: Path) -> None:
    black = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels = drawn(tmp_path, Tile(black, ["caption"], heat=np.array([[0, 2.0], [0, 4.0]], dtype=np.float32)))
    half, full = extent(pixels, (177, 113, 86)), extent(pixels, (204, 74, 22))
    left, top, right, bottom = full
    assert (right - left, bottom - top) == (pytest.approx(60, abs=3), pytest.approx(60, abs=3))
    assert np.abs(np.subtract(half, (left, top - 60, right, top))).max() <= 3
    assert pixels[bottom - 30, left - 30].tolist() == [150, 150, 150]


def test_an_empty_heat_map_has_no_colour(tmp_path: Path) -> None:
    pixels = drawn(tmp_path, Tile(PURPLE, ["caption"], heat=np.zeros((2, 2), dtype=np.float32)))
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() <= 3
