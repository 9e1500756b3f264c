"""An image of a dataset, before and after it is decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from saefari.errors import PATH_LENGTH, DataError, shown

MAX_PIXELS = 89_478_485
"""Pillow's own limit, which other code in the process may have lifted: 256 MiB of RGB."""
_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What is read; never PostScript, which Pillow would hand to another program."""
_CHANNELS = {(), (1,), (3,), (4,)}
_DEPTH = "save it with 8 or 16 bits per channel"


class BadImage(DataError):
    """An image that cannot be read, or may not be; its text names it and says why."""


@dataclass(frozen=True)
class ImageSource:
    """Where an image is, not yet decoded; picklable and small, so that it can travel to a worker process.

    name: how messages and the store call it, without an absolute path.
    content: a file, an encoded image, or pixels, uint8 [H, W], [H, W, 1] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA).
    """

    name: str
    content: Path | bytes | np.ndarray


def decode_image(source: ImageSource) -> Image.Image:
    """The image as RGB, upright as its EXIF says; of an animation the first frame, what is transparent on white.

    16-bit grey is scaled to 8 bits. Raises BadImage for what is missing, damaged, no image, larger than MAX_PIXELS
    (told from the header, before any pixel is decoded) or has pixels of an unknown range (floats, 32-bit integers).
    """
    if isinstance(source.content, np.ndarray):
        return _as_rgb(source, _from_array(source, source.content))
    if isinstance(source.content, bytes):
        return _as_rgb(source, _load(source, BytesIO(source.content)))
    try:
        # A folder cannot be opened, and opening a pipe would wait for ever.
        if source.content.exists() and not source.content.is_file():
            raise _bad(source, "it is not a file")
        with source.content.open("rb") as file:
            return _as_rgb(source, _load(source, file))
    except FileNotFoundError:
        raise _bad(source, "there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _bad(source, f"the file cannot be opened ({_reason(error)})") from None


def pixels_digest(image: Image.Image) -> str:
    """SHA-256 of a decoded image's size and pixels: equal for the same picture, however it was encoded."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _load(source: ImageSource, file: BinaryIO) -> Image.Image:
    """The first frame, upright, in the file's own mode."""
    if not file.read(1):
        raise _bad(source, "it is empty")
    try:
        image = Image.open(file, formats=_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        ImageOps.exif_transpose(image, in_place=True)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _bad(source, f"it has more than {MAX_PIXELS:,} pixels; make it smaller") from None
    except UnidentifiedImageError:
        raise _bad(source, f"it is not an image that can be read ({', '.join(_FORMATS)})") from None
    except MemoryError:
        raise
    except Exception as error:  # the decoders raise whatever a damaged file makes them stumble over
        raise _bad(source, f"it is damaged or truncated ({_reason(error)})") from None
    return image


def _from_array(source: ImageSource, pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim < 2 or pixels.shape[2:] not in _CHANNELS or not pixels.size:
        kind = f"{pixels.dtype} {list(pixels.shape)}"
        raise _bad(source, f"{kind} are not pixels; they are uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]")
    return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)


def _as_rgb(source: ImageSource, image: Image.Image) -> Image.Image:
    # Pillow opens 16-bit PGM as "I", whose 32 bits have no fixed range in any other format.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        image = _from_16_bits(image)
    if image.mode in ("I", "F"):
        numbers = "32-bit integers" if image.mode == "I" else "floating-point numbers"
        raise _bad(source, f"its pixels are {numbers}, of which nobody knows what is white; {_DEPTH}")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Grey of 8 bits (Pillow's own conversion clips), with alpha where one value stands for transparent."""
    grey = np.asarray(image).astype(np.uint32)
    scaled = Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8))
    if "transparency" in image.info:
        opaque = grey != image.info["transparency"]
        scaled.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    return scaled


def _bad(source: ImageSource, reason: str) -> BadImage:
    return BadImage(f"image {shown(source.name, PATH_LENGTH)}: {reason}")


def _reason(error: Exception) -> str:
    """An error in one line, without the path that an OSError repeats."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
