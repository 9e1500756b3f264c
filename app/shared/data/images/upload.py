"""An image that someone wants classified: taken from the request, judged by its content, and kept in memory only."""

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
"""What is read: formats that are pictures and nothing else, told apart by how they begin."""


@dataclass(frozen=True)
class Upload:
    """name: of the file, as its owner calls it. text: what is asked along with the image; None where nothing is."""

    name: str
    content: bytes
    text: str | None


def uploaded(asked: dict[str, Any]) -> Upload:
    """What the page sent: name, image (a `data:` address) and text. Raises DataError where it is something else."""
    name, address, text = (asked.get(key) for key in ("name", "image", "text"))
    if not isinstance(address, str) or ";base64," not in address:
        raise DataError("No image came with the question: choose one and press Classify")
    try:
        content = base64.b64decode(address.partition(";base64,")[2], validate=True)
    except ValueError:  # characters or a length that the encoding does not have
        raise DataError("The image was damaged on its way here: choose it again") from None
    words = text.strip() if isinstance(text, str) else ""
    return Upload(str(name or "image"), content, words or None)


def check_image(content: bytes) -> None:
    """Raises DataError where the content is too large, no image of FORMATS, damaged, or has too many pixels.

    Pixels are counted before any is decoded.
    """
    if len(content) > MOST_BYTES:
        raise DataError(f"The file has {len(content) / 2**20:.1f} MB; {MOST_BYTES // 2**20} MB are the most here")
    kinds = ", ".join(FORMATS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its limit is above ours
            image = Image.open(BytesIO(content), formats=FORMATS)
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise DataError(f"The image has {width:,} × {height:,} pixels; {MOST_PIXELS:,} are the most here")
        image.verify()
    except UnidentifiedImageError:
        raise DataError(f"The file is no image, whatever its name says: {kinds} can be tried") from None
    except Image.DecompressionBombError:
        raise DataError(f"The image has too many pixels; {MOST_PIXELS:,} are the most here") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow raises of damaged files
        raise DataError(f"The image is damaged ({error})") from None
