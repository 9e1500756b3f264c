"""Cache of values read from small files, kept until the file changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from saefari.errors import SaefariError
from saefari.store import FoundFile

T = TypeVar("T")


class FileCache:
    """Values by function, file, modification time and size."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}
        self._used: dict[Any, Any] = {}

    def read(self, make: Callable[[FoundFile], T], file: FoundFile) -> T | str:
        """Return `make(file)`, cached, or the error message if the file cannot be read."""
        key = make, file
        if key not in self._used:
            self._used[key] = self._kept[key] if key in self._kept else _made(make, file)
        value: T | str = self._used[key]
        return value

    def forget_unused(self) -> None:
        """Drop values not read since the last call; call after each scan of the tree."""
        self._kept, self._used = self._used, {}


def _made(make: Callable[[FoundFile], T], file: FoundFile) -> T | str:
    """Read a file that may hold anything; return an error message instead of raising."""
    try:
        return make(file)
    except SaefariError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        return f"is not what SAEfari writes ({type(error).__name__}: {error})"


def written_ns(path: Path) -> int:
    """Modification time of a file, for cache keys; 0 if it does not exist."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def short_id(relative: str) -> str:
    """An id for URLs; it is looked up in the index, never turned into a path."""
    return hashlib.sha256(relative.encode()).hexdigest()[:12]
