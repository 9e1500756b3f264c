"""Raw pixels as features: the baseline that any model of images has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from saefari.store import iter_samples, read_sample_rows

SIDE = 32
"""Pixels a side to which larger views are brought."""


def pixels_of(views: Iterable[bytes]) -> np.ndarray:
    """Float32 [n, SIDE * SIDE * 3 or less] in 0..1 of encoded views, row by row, the colours of a pixel together.

    A view of at most SIDE pixels a side stays as it is, a larger one is averaged down to SIDE x SIDE. Raises
    ValueError where views differ in size after that.
    """
    rows = [_pixels(view) for view in views]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the views differ in size, so that their pixels are no features")
    return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)


def read_pixels(folders: Sequence[Path]) -> np.ndarray:
    """Pixels of every row of some samples folders, one after the other; see `pixels_of`."""
    return pixels_of(_views(folders))


def read_pixel_rows(folder: Path, rows: Sequence[int]) -> np.ndarray:
    """Pixels of just these dataset rows of one samples folder; see `pixels_of`."""
    return pixels_of(read_sample_rows(folder, rows, ["view"])["view"].to_pylist())


def _views(folders: Sequence[Path]) -> Iterator[bytes]:
    for folder in folders:
        for table in iter_samples(folder, ["view"]):
            yield from table["view"].to_pylist()


def _pixels(view: bytes) -> np.ndarray:
    with Image.open(BytesIO(view)) as opened:
        image = opened.convert("RGB")
    if max(image.size) > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels: np.ndarray = np.asarray(image, dtype=np.float32).ravel() / 255
    return pixels
