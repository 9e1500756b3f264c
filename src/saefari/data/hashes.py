"""Hashes of files, each taken once per process while the file does not change."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from saefari.data.images import ImageSource
from saefari.fingerprint import file_sha256

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


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes. Raises OSError where it cannot be read."""
    status = path.stat()
    return _hash(str(path), status.st_size, status.st_mtime_ns)


def _linked_hash(path: Path) -> str:
    try:
        return file_digest(path) if path.is_file() else _UNREADABLE
    except (OSError, ValueError):  # ValueError: a zero byte in the path
        return _UNREADABLE


@cache
def _hash(path: str, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file's bytes; size and time of change tell one state of the file from the next."""
    return file_sha256(Path(path))
