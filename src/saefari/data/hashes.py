"""Hashes of files, each taken once per process while the file does not change."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from saefari.data.images import ImageSource
from saefari.fingerprint import file_digest

_UNREADABLE = "unreadable"


def linked_digest(images: Iterable[ImageSource | None]) -> str | None:
    """SHA-256 over the contents of all images that are files, in order, wherever they lie; None if there are none.

    A file that is missing or cannot be read counts as such and is no error: a sample that uses it is.
    """
    digest, found = sha256(), False
    for image in images:
        if image is not None and isinstance(image.content, Path):
            digest.update(_linked_hash(image.content).encode())
            found = True
    return digest.hexdigest() if found else None


def _linked_hash(path: Path) -> str:
    try:
        return file_digest(path) if path.is_file() else _UNREADABLE
    except (OSError, ValueError):  # ValueError: a zero byte in the path
        return _UNREADABLE
