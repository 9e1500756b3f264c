"""Stored views on their way to the browser: under addresses that name no path, one row at a time."""

from __future__ import annotations

import base64
from pathlib import Path

from app.shared.data.memory import short_id, written_ns
from app.shared.data.tree import tree
from saefari.errors import StoreError
from saefari.store import read_sample_rows
from saefari.store.layout import SAMPLES

ROUTE = "/view/<split>/<version>/<int:row>"
_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
"""How a file of each type begins; a view is nothing else."""


def view_address(samples: Path) -> str:
    """The address of a split's views; a row's number goes behind it. Another content has another address."""
    return f"/view/{_split_id(samples)}/{written_ns(samples / SAMPLES):x}/"


def served_view(split: str, row: int) -> bytes | None:
    """A row's view, of a split by its id; b"" where the row has no image, None where there is no such row.

    Only splits that the index knows are looked into: an id is compared, never turned into a path.
    """
    folders = {one.samples for one in tree().index().code_sets.values()}
    samples = next((folder for folder in folders if _split_id(folder) == split), None)
    if samples is None:
        return None
    try:
        return read_sample_rows(samples, [row], ["view"])["view"][0].as_py() or b""
    except (StoreError, OverflowError):
        return None  # a split without images, or a row that it does not have


def media_type(view: bytes) -> str | None:
    """The type of an encoded view, by how it begins; None where it is no PNG or JPEG."""
    return next((kind for start, kind in _TYPES.items() if view.startswith(start)), None)


def data_address(view: bytes) -> str:
    """A view as an address that holds it whole, for what is not stored."""
    return f"data:{media_type(view)};base64,{base64.b64encode(view).decode()}"


def _split_id(samples: Path) -> str:
    return short_id(samples.as_posix())
