"""One image, with or without a text, as a model reads it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from saefari.errors import ModelError

LARGEST_VIEW = 336
"""Pixels of a stored view's longer side: enough to look at."""
_LOSSLESS = 64 * 64  # pixels up to which a PNG is hardly larger than a JPEG, and spoils nothing


class TooLong(ModelError):
    """A prompt has more tokens than the model reads: a mistake in the settings, not in a row."""


@dataclass(frozen=True)
class Reading:
    """An image's tokens, and what the model is given.

    input_ids: int32 [length], of a prompt; empty where the model reads no text.
    length: positions that the model computes. valid: int32 [m], those that count, ascending.
    spans: int32 [m, 2], the characters (start, end) of the text that each covers; (0, 0) where none.
    grid: rows and columns of the patches that the view is divided into; patch: int32 [m], the cell of each valid
    position, row by row, or -1.
    model_input: the model's arguments by name, without a batch dimension where they have one.
    view: what the model sees of the image, RGB.
    """

    input_ids: np.ndarray
    length: int
    valid: np.ndarray
    spans: np.ndarray
    grid: tuple[int, int]
    patch: np.ndarray
    model_input: dict[str, torch.Tensor]
    view: Image.Image


class ImageReader(Protocol):
    """Makes readings; picklable, so that worker processes can have one."""

    @property
    def digest(self) -> str:
        """Changes whenever a reading would."""

    def read(self, image: Image.Image, text: str | None) -> Reading:
        """An RGB image, with a text where the model takes one. Raises ModelError where the model cannot take them."""


def encode_view(view: Image.Image) -> bytes:
    """A view as a file of at most `LARGEST_VIEW` pixels a side: PNG where it is small, else JPEG."""
    if max(view.size) > LARGEST_VIEW:
        view = view.copy()
        view.thumbnail((LARGEST_VIEW, LARGEST_VIEW), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    if view.width * view.height <= _LOSSLESS:
        view.save(buffer, "PNG", optimize=True)
    else:
        view.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def seen(pixels: torch.Tensor, processor: Any) -> Image.Image:
    """The picture that pixel values stand for: [3, H, W], normalised as the image processor says."""
    values = pixels.float()
    if processor.do_normalize:
        mean, std = (torch.tensor(getattr(processor, name)).view(-1, 1, 1) for name in ("image_mean", "image_std"))
        values = values * std + mean
    if processor.do_rescale:
        values = values / processor.rescale_factor
    return Image.fromarray(values.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())
