"""Raw pixels as features: a baseline for image models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from saefari.store import iter_samples, read_sample_rows

SIDE = 32
"""Side in pixels to which larger images are reduced."""


def pixels_of(views: Iterable[bytes]) -> np.ndarray:
    """Return encoded views as float32 [n, SIDE * SIDE * 3 or fewer] in 0..1: rows of pixels, colours interleaved.

    A view larger than SIDE on a side is averaged down to SIDE x SIDE. Raises ValueError if views then differ in size.
    """
    rows = [_pixels(view) for view in views]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the images differ in size, so their pixels cannot be used as features")
    return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)


def read_pixels(folders: Sequence[Path]) -> np.ndarray:
    """Return the pixels of every row of some samples folders, one after the other; see `pixels_of`."""
    return pixels_of(_views(folders))


def read_pixel_rows(folder: Path, rows: Sequence[int]) -> np.ndarray:
    """Return the pixels of these dataset rows of one samples folder; see `pixels_of`."""
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
