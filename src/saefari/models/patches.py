"""Where the tokens of an image lie in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from saefari.models.image_input import seen


@dataclass(frozen=True)
class Patches:
    """grid: rows and columns; cells: int32 [n], the cell of each image token or -1; view: what they cover."""

    grid: tuple[int, int]
    cells: np.ndarray
    view: Image.Image


def patches_of(made: Any, n_tokens: int, image: Image.Image, processor: Any, config: Any) -> Patches:
    """The patches of a prompt's `n_tokens` image tokens, from what a processor made of one image.

    Qwen's processors say the grid; elsewhere it follows from the pixels. Of an image that is read whole and again
    in tiles, the tokens of the whole come first and are placed; tokens that no grid explains are not.
    """
    if "image_grid_thw" in made:
        merge = int(processor.merge_size)
        rows, columns = (int(size) // merge for size in made["image_grid_thw"][0][1:])
        size = (columns * merge * int(processor.patch_size), rows * merge * int(processor.patch_size))
        view = image.resize(size, Image.Resampling.BICUBIC)
    else:
        pixels = made["pixel_values"]
        pixels = pixels.reshape(-1, *pixels.shape[-3:])[0]
        rows, columns = _grid(config, n_tokens, pixels.shape[1:])
        view = seen(pixels, processor)
    before = 1 if n_tokens == rows * columns + 1 else 0  # the tower's class token, where it is kept
    cells = np.full(n_tokens, -1, dtype=np.int32)
    if n_tokens >= before + rows * columns:
        cells[before : before + rows * columns] = np.arange(rows * columns)
        return Patches((rows, columns), cells, view)
    return Patches((1, 1), cells, view)


def _grid(config: Any, n_tokens: int, size: Any) -> tuple[int, int]:
    """Rows and columns into which the vision tower cuts an image of this size, pooled where the tokens are fewer."""
    patch = int(config.vision_config.patch_size)
    rows, columns = size[0] // patch, size[1] // patch
    if n_tokens < rows * columns:  # pooled to a smaller square (Gemma 3)
        side = math.isqrt(n_tokens)
        if side * side == n_tokens:
            return side, side
    return rows, columns
