"""Images of a dataset and their decoding."""

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
"""Maximum size (256 MiB of RGB). Pillow's default limit, which other code in the process may have changed."""
_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Supported formats. Not PostScript, for which Pillow would start another program."""
_CHANNELS = {(), (1,), (3,), (4,)}
_DEPTH = "save it with 8 or 16 bits per channel"


class BadImage(DataError):
    """An image cannot or must not be read; the message gives its name and the reason."""


@dataclass(frozen=True)
class ImageSource:
    """Image that is not yet decoded; small and picklable, so that it can be sent to worker processes.

    name: used in messages and the output tree, without an absolute path.
    content: path, encoded image, or pixels, uint8 [H, W], [H, W, 1] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA).
    """

    name: str
    content: Path | bytes | np.ndarray


def decode_image(source: ImageSource) -> Image.Image:
    """Decode an image to RGB: rotated as in its EXIF data, first frame of animations, transparency on white.

    16-bit grey is scaled to 8 bits. Raises BadImage if the image is missing, damaged, not an image, larger than
    MAX_PIXELS (checked in the header, before decoding) or has pixels of unknown range (floats, 32-bit integers).
    """
    if isinstance(source.content, np.ndarray):
        return _as_rgb(source, _from_array(source, source.content))
    if isinstance(source.content, bytes):
        return _as_rgb(source, _load(source, BytesIO(source.content)))
    try:
        # A folder cannot be opened, and opening a pipe would block.
        if source.content.exists() and not source.content.is_file():
            raise _bad(source, "it is not a file")
        with source.content.open("rb") as file:
            return _as_rgb(source, _load(source, file))
    except FileNotFoundError:
        raise _bad(source, "the file does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _bad(source, f"the file cannot be opened ({_reason(error)})") from None


def pixels_digest(image: Image.Image) -> str:
    """Return the SHA-256 of a decoded image's size and pixels, independent of its encoding."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _load(source: ImageSource, file: BinaryIO) -> Image.Image:
    """Open the first frame, rotated as in its EXIF data, in the mode of the file."""
    if not file.read(1):
        raise _bad(source, "it is empty")
    try:
        image = Image.open(file, formats=_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        ImageOps.exif_transpose(image, in_place=True)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _bad(source, f"it has more than {MAX_PIXELS:,} pixels; scale it down") from None
    except UnidentifiedImageError:
        raise _bad(source, f"it is not an image in a supported format ({', '.join(_FORMATS)})") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many types of errors for damaged files
        raise _bad(source, f"it is damaged or truncated ({_reason(error)})") from None
    return image


def _from_array(source: ImageSource, pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim < 2 or pixels.shape[2:] not in _CHANNELS or not pixels.size:
        kind = f"{pixels.dtype} {list(pixels.shape)}"
        raise _bad(source, f"{kind} are not pixels; pixels are uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]")
    return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)


def _as_rgb(source: ImageSource, image: Image.Image) -> Image.Image:
    # Pillow opens 16-bit PGM in mode "I"; in all other formats the range of that 32-bit mode is unknown.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        image = _from_16_bits(image)
    if image.mode in ("I", "F"):
        numbers = "32-bit integers" if image.mode == "I" else "floating-point numbers"
        raise _bad(source, f"its pixels are {numbers} of unknown range; {_DEPTH}")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Scale to 8-bit grey (Pillow's conversion clips), with alpha if one value means transparent."""
    grey = np.asarray(image).astype(np.uint32)
    scaled = Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8))
    if "transparency" in image.info:
        opaque = grey != image.info["transparency"]
        scaled.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    return scaled


def _bad(source: ImageSource, reason: str) -> BadImage:
    return BadImage(f"image {shown(source.name, PATH_LENGTH)}: {reason}")


def _reason(error: Exception) -> str:
    """Return the message of an error in one line, without the path of an OSError."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
