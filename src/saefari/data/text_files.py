"""Streaming of UTF-8 text files, optionally compressed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pyarrow as pa

from saefari.data.file_endings import COMPRESSIONS
from saefari.errors import DataError


@contextmanager
def open_text(path: Path, newline: str) -> Iterator[TextIOWrapper]:
    """Open a file for reading, skipping a byte order mark; newline: as in `open`.

    Raises DataError, also while the file is read, if it is not UTF-8 (with the line) or its compression is damaged.
    """
    try:
        with TextIOWrapper(_open_bytes(path), encoding="utf-8-sig", newline=newline) as file:
            yield file
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except OSError as error:
        kind = _compression(path)
        reason = f"damaged or not a {kind} file" if kind else "the file cannot be read"
        raise DataError(f"{path}: {reason} ({error.strerror or error})") from None


def _open_bytes(path: Path) -> Any:
    kind = _compression(path)
    return path.open("rb") if kind is None else pa.input_stream(str(path), compression=kind)


def _compression(path: Path) -> str | None:
    return COMPRESSIONS.get(path.suffix.lower())


def _not_utf8(path: Path) -> DataError:
    """Return an error with the first line that is not UTF-8."""
    with TextIOWrapper(_open_bytes(path), encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, 1):
            try:
                line.encode("utf-8", "surrogateescape").decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(f"{path}: line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8")
    return DataError(f"{path}: not UTF-8; convert the file to UTF-8")
