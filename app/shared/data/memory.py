"""Small files read once: what was made of a file is kept until the file changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from saefari.errors import SaefariError
from saefari.store import FoundFile

T = TypeVar("T")


class Memory:
    """Values by function, file, time and size; `forget_unused` drops those not asked for since its last call."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}
        self._used: dict[Any, Any] = {}

    def read(self, make: Callable[[FoundFile], T], file: FoundFile) -> T | str:
        """What `make` gives for the file, or, as text, why it cannot be read."""
        key = make, file
        if key not in self._used:
            self._used[key] = self._kept[key] if key in self._kept else _made(make, file)
        value: T | str = self._used[key]
        return value

    def forget_unused(self) -> None:
        """Call after each look at the tree."""
        self._kept, self._used = self._used, {}


def _made(make: Callable[[FoundFile], T], file: FoundFile) -> T | str:
    """A foreign file may hold anything: whatever it breaks is a finding, not a failure of the page."""
    try:
        return make(file)
    except SaefariError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        return f"is not what SAEfari writes ({type(error).__name__}: {error})"


def written_ns(path: Path) -> int:
    """When a file was last written, to tell older contents from newer in caches; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def short_id(relative: str) -> str:
    """An id for URLs: looked up in the index, never turned back into a path."""
    return hashlib.sha256(relative.encode()).hexdigest()[:12]
