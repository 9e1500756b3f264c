"""Positions of image tokens in the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from saefari.models.image_input import image_from_pixels


@dataclass(frozen=True)
class Patches:
    """Patches of a view. grid: rows and columns; cells: int32 [n], the cell of each image token or -1."""

    grid: tuple[int, int]
    cells: np.ndarray
    view: Image.Image


def patches_of(output: Any, n_tokens: int, image: Image.Image, processor: Any, config: Any) -> Patches:
    """Place a prompt's `n_tokens` image tokens, given the processor's output for one image.

    Qwen's processors return the grid; for others it follows from the pixels. If an image is read as a whole and again
    in tiles, only the tokens of the whole, which come first, are placed. Tokens that fit no grid are not placed.
    """
    if "image_grid_thw" in output:
        merge = int(processor.merge_size)
        rows, columns = (int(size) // merge for size in output["image_grid_thw"][0][1:])
        size = (columns * merge * int(processor.patch_size), rows * merge * int(processor.patch_size))
        view = image.resize(size, Image.Resampling.BICUBIC)
    else:
        pixels = output["pixel_values"]
        pixels = pixels.reshape(-1, *pixels.shape[-3:])[0]
        rows, columns = _grid(config, n_tokens, pixels.shape[1:])
        view = image_from_pixels(pixels, processor)
    before = 1 if n_tokens == rows * columns + 1 else 0  # the tower keeps its class token
    cells = np.full(n_tokens, -1, dtype=np.int32)
    if n_tokens >= before + rows * columns:
        cells[before : before + rows * columns] = np.arange(rows * columns)
        return Patches((rows, columns), cells, view)
    return Patches((1, 1), cells, view)


def _grid(config: Any, n_tokens: int, size: Any) -> tuple[int, int]:
    """Return rows and columns of the vision tower's patches, after pooling if there are fewer tokens than patches."""
    patch = int(config.vision_config.patch_size)
    rows, columns = size[0] // patch, size[1] // patch
    if n_tokens < rows * columns:  # pooled to a smaller square (Gemma 3)
        side = math.isqrt(n_tokens)
        if side * side == n_tokens:
            return side, side
    return rows, columns
