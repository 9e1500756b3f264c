"""Image views served to the browser, by split id and row; URLs never contain a path."""

from __future__ import annotations

import base64
from pathlib import Path

from app.shared.data.file_cache import short_id, written_ns
from app.shared.data.tree import tree
from saefari.errors import StoreError
from saefari.store import read_sample_rows
from saefari.store.layout import SAMPLES

ROUTE = "/view/<split>/<version>/<int:row>"
_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
"""Magic bytes of the file types that a view can have."""


def view_address(samples: Path) -> str:
    """URL prefix of a split's views, followed by the row number. It changes with the content."""
    return f"/view/{_split_id(samples)}/{written_ns(samples / SAMPLES):x}/"


def served_view(split: str, row: int) -> bytes | None:
    """Read a row's view; b"" if the row has no image, None if there is no such row.

    The split's id is compared with those in the index, never turned into a path.
    """
    folders = {one.samples for one in tree().index().code_sets.values()}
    samples = next((folder for folder in folders if _split_id(folder) == split), None)
    if samples is None:
        return None
    try:
        return read_sample_rows(samples, [row], ["view"])["view"][0].as_py() or b""
    except (StoreError, OverflowError):
        return None  # no images in the split, or no such row


def media_type(view: bytes) -> str | None:
    """Media type of a view by its magic bytes; None if it is neither PNG nor JPEG."""
    return next((kind for start, kind in _TYPES.items() if view.startswith(start)), None)


def data_address(view: bytes) -> str:
    """Encode a view as a `data:` URL, for images that are not stored."""
    return f"data:{media_type(view)};base64,{base64.b64encode(view).decode()}"


def _split_id(samples: Path) -> str:
    return short_id(samples.as_posix())
