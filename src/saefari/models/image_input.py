"""Model input made of one image, with or without a text."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from saefari.errors import ModelError

LARGEST_VIEW = 336
"""Maximum pixels of a stored view's longer side."""
_LOSSLESS = 64 * 64  # pixels up to which a lossless PNG is hardly larger than a JPEG


class TooLong(ModelError):
    """A prompt has more tokens than the model can read: an error of the settings, not of a row."""


@dataclass(frozen=True)
class Reading:
    """One image as the model reads it.

    input_ids: int32 [length], tokens of the prompt; empty if the model reads no text.
    length: positions that the model computes. valid: int32 [m], those that count, ascending.
    spans: int32 [m, 2], the characters (start, end) of the text that each valid position covers; (0, 0) if none.
    grid: rows and columns of patches of the view; patch: int32 [m], the row-major cell of each valid position, or -1.
    model_input: the model's arguments by name, without the batch dimension.
    view: the image after resizing and cropping, RGB.
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
    """Interface of a reader of images; picklable for worker processes."""

    @property
    def digest(self) -> str:
        """Digest of everything that shapes a reading."""

    def read(self, image: Image.Image, text: str | None) -> Reading:
        """Read an RGB image, and a text if the model takes one. Raises ModelError if the model cannot take them."""


def encode_view(view: Image.Image) -> bytes:
    """Encode a view of at most `LARGEST_VIEW` pixels a side: PNG if it is small, else JPEG."""
    if max(view.size) > LARGEST_VIEW:
        view = view.copy()
        view.thumbnail((LARGEST_VIEW, LARGEST_VIEW), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    if view.width * view.height <= _LOSSLESS:
        view.save(buffer, "PNG", optimize=True)
    else:
        view.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def image_from_pixels(pixels: torch.Tensor, processor: Any) -> Image.Image:
    """Undo the image processor's normalisation of pixel values [3, H, W]."""
    values = pixels.float()
    if processor.do_normalize:
        mean, std = (torch.tensor(getattr(processor, name)).view(-1, 1, 1) for name in ("image_mean", "image_std"))
        values = values * std + mean
    if processor.do_rescale:
        values = values / processor.rescale_factor
    return Image.fromarray(values.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())
