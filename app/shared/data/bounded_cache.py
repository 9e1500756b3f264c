"""A cache of large arrays with a limit in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """An object that knows its size in memory."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class BoundedCache(Generic[T]):
    """Least-recently-used cache, limited in bytes. The newest value is kept even if it alone exceeds the limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the cached value, or build it; concurrent requests for one key build it once."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
                while len(self._values) > 1 and sum(value.nbytes for value in self._values.values()) > self._max_bytes:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]
