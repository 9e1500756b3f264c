"""An uploaded image: decoded from the request, checked by its content, kept in memory only."""

from __future__ import annotations

import base64
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image, UnidentifiedImageError

from saefari.errors import DataError

MOST_BYTES = 8 * 1024 * 1024
MOST_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Accepted formats, recognised by content."""


@dataclass(frozen=True)
class Upload:
    """An uploaded image. name: the user's file name. text: the text beside the image, or None."""

    name: str
    content: bytes
    text: str | None


def decode_upload(request: dict[str, Any]) -> Upload:
    """Decode the page's request: name, image (a `data:` URL) and text. Raises DataError without a valid image."""
    name, address, text = (request.get(key) for key in ("name", "image", "text"))
    if not isinstance(address, str) or ";base64," not in address:
        raise DataError("The request has no image: choose one and press Classify")
    try:
        content = base64.b64decode(address.partition(";base64,")[2], validate=True)
    except ValueError:  # not base64
        raise DataError("The image was damaged during the upload: choose it again") from None
    words = text.strip() if isinstance(text, str) else ""
    return Upload(str(name or "image"), content, words or None)


def check_image(content: bytes) -> None:
    """Raise DataError if the content is too large, not an image of FORMATS, damaged, or has too many pixels.

    The pixel count is checked before decoding.
    """
    if len(content) > MOST_BYTES:
        raise DataError(f"The file has {len(content) / 2**20:.1f} MB; at most {MOST_BYTES // 2**20} MB are accepted")
    kinds = ", ".join(FORMATS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked below
            image = Image.open(BytesIO(content), formats=FORMATS)
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise DataError(f"The image has {width:,} × {height:,} pixels; at most {MOST_PIXELS:,} are accepted")
        image.verify()
    except UnidentifiedImageError:
        raise DataError(f"The file is not an image in an accepted format ({kinds})") from None
    except Image.DecompressionBombError:
        raise DataError(f"The image has too many pixels; at most {MOST_PIXELS:,} are accepted") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # Pillow's errors for damaged files
        raise DataError(f"The image is damaged ({error})") from None
