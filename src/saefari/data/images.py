"""An image of a dataset, before and after it is decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from saefari.errors import DataError


class BadImage(DataError):
    """An image that cannot be read, or may not be; its text names it and says why."""


@dataclass(frozen=True)
class ImageSource:
    """Where an image is, not yet decoded; picklable and small, so that it can travel to a worker process.

    name: how messages and the store call it, without an absolute path.
    content: a file, an encoded image, or pixels, uint8 [H, W] or [H, W, 3].
    """

    name: str
    content: Path | bytes | np.ndarray


def decode_image(source: ImageSource) -> Image.Image:
    """The image as RGB, upright. Raises BadImage."""
    try:
        if isinstance(source.content, np.ndarray):
            return Image.fromarray(source.content).convert("RGB")
        opened = Image.open(BytesIO(source.content) if isinstance(source.content, bytes) else source.content)
        return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"image {source.name!r} cannot be read: {error}") from None


def pixels_digest(image: Image.Image) -> str:
    """SHA-256 of a decoded image's size and pixels: equal for the same picture, however it was encoded."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
