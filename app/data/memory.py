"""Small files read once: what was made of a file is kept until the file changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from saefari.errors import SaefariError
from saefari.store import FoundFile

T = TypeVar("T")


class Memory:
    """Values by file, time and size; `forget_unused` drops those not asked for since its last call."""

    def __init__(self) -> None:
        self._kept: dict[FoundFile, Any] = {}
        self._used: dict[FoundFile, Any] = {}

    def read(self, file: FoundFile, make: Callable[[], T]) -> T | str:
        """What `make` gives for the file, or, as text, why it cannot be read."""
        if file not in self._used:
            self._used[file] = self._kept[file] if file in self._kept else _made(make)
        value: T | str = self._used[file]
        return value

    def forget_unused(self) -> None:
        """Call after each look at the tree."""
        self._kept, self._used = self._used, {}


def _made(make: Callable[[], T]) -> T | str:
    """A foreign file may hold anything: whatever it breaks is a finding, not a failure of the page."""
    try:
        return make()
    except SaefariError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        return f"is not what SAEfari writes ({type(error).__name__}: {error})"


def short_id(relative: str) -> str:
    """An id for URLs: looked up in the index, never turned back into a path."""
    return hashlib.sha256(relative.encode()).hexdigest()[:12]
