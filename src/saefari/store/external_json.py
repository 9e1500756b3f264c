"""Type-checked reading of JSON from other programs, with lists of the invalid values and the unread keys."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from saefari.errors import StoreError

_ABSENT = object()
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_TYPE_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
}
_MAX_KEY_LENGTH = 60


@dataclass(frozen=True)
class JsonNode:
    """Value at a place (sequence of keys) of a JSON document.

    Reading a value that is missing or has another type returns None and records a problem: one per place, and none
    below a place that already has one.

    problems: place -> message. read: places that were read. All nodes of a document share both.
    quiet: record no problems.
    """

    value: Any
    place: tuple[str, ...] = ()
    problems: dict[tuple[str, ...], str] = field(default_factory=dict)
    read: set[tuple[str, ...]] = field(default_factory=set)
    quiet: bool = False

    def __getitem__(self, key: str) -> JsonNode:
        """Return the node under a key, which may be missing."""
        is_object = isinstance(self.value, dict)
        if not is_object:
            self.add_problem("an object")
        place = (*self.place, key)
        self.read.add(place)
        value = self.value.get(key, _ABSENT) if is_object else _ABSENT
        return replace(self, value=value, place=place, quiet=self.quiet or not is_object)

    def __contains__(self, key: str) -> bool:
        """Whether the object has a value other than null under a key."""
        self.read.add((*self.place, key))
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def keys(self) -> list[str]:
        """Return the keys of an object, in file order."""
        return list(self.value) if isinstance(self.value, dict) else []

    def text(self) -> str | None:
        """Read a non-empty string."""
        if isinstance(self.value, str) and self.value:
            return self.value
        self.add_problem("a string")
        return None

    def flag(self) -> bool | None:
        """Read a boolean."""
        if isinstance(self.value, bool):
            return self.value
        self.add_problem("true or false")
        return None

    def number(self, low: float = -math.inf, high: float = math.inf) -> float | None:
        """Read a finite number within bounds."""
        number = _finite(self.value)
        if number is not None and low <= number <= high:
            return number
        self.add_problem("a number", low, high)
        return None

    def integer(self, low: int, high: int) -> int | None:
        """Read an integer within bounds; 3.0 and "3" are accepted as 3."""
        value = self.value.strip() if isinstance(self.value, str) else self.value
        number = _finite(int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}", value) else value)
        if number is not None and number.is_integer() and low <= number <= high:
            return int(number)
        self.add_problem("an integer", low, high)
        return None

    def items(self) -> list[Any] | None:
        """Read a list of any values."""
        if isinstance(self.value, list):
            return self.value
        self.add_problem("a list")
        return None

    def numbers(self, low: float = -math.inf, high: float = math.inf) -> list[float] | None:
        """Read a list of finite numbers within bounds."""
        values = [_finite(value) for value in self.value] if isinstance(self.value, list) else [None]
        kept = [value for value in values if value is not None and low <= value <= high]
        if len(kept) == len(values):
            return kept
        self.add_problem("a list of numbers", low, high)
        return None

    def scalars(self) -> dict[str, str | int | float]:
        """Return the strings and finite numbers of an object."""
        pairs = self.value.items() if isinstance(self.value, dict) else ()
        scalars = {key: one for key, one in pairs if isinstance(one, str) or _finite(one) is not None}
        self.read.update((*self.place, key) for key in scalars)
        return scalars

    def add_problem(self, expected: str, low: float = -math.inf, high: float = math.inf) -> None:
        """Record that the value is missing or not as expected."""
        bounds = "" if low == -math.inf and high == math.inf else f" from {low:g} to {high:g}"
        if self.value is _ABSENT or self.value is None:
            message = "missing"
        else:
            shown = f" ({self.value!r:.40})" if isinstance(self.value, (str, int, float)) else ""
            found = _TYPE_NAMES.get(type(self.value), "something else")
            message = f"expected {expected}{bounds}, found {found}{shown}"
        if not self.quiet:
            self.problems.setdefault(self.place, message)

    def problem_lines(self) -> list[str]:
        """Return every problem as `place: message`."""
        return [f"{_shown(place)}: {message}" for place, message in self.problems.items()]

    def unread_keys(self) -> list[str]:
        """Return the places that were not read; an unread object is listed once, without its keys."""
        return [_shown(place) for place in self._unread_places()]

    def _unread_places(self) -> Iterator[tuple[str, ...]]:
        for key in self.keys():
            place = (*self.place, key)
            if place not in self.read:
                yield place
            elif place not in self.problems:
                yield from replace(self, value=self.value[key], place=place)._unread_places()


def read_json_document(path: Path) -> tuple[JsonNode, str]:
    """Read a JSON file: (root node, SHA-256). Raises StoreError if it cannot be read or is not a JSON object."""
    try:
        raw = path.read_bytes()
        value = json.loads(raw)
        if _SURROGATE.search(raw):  # an unpaired surrogate cannot be encoded as UTF-8
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"cannot be read ({type(error).__name__}: {error})") from None
    if not isinstance(value, dict):
        raise StoreError(f"contains {_TYPE_NAMES.get(type(value), 'nothing')}, not a JSON object")
    return JsonNode(value), hashlib.sha256(raw).hexdigest()


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _shown(place: tuple[str, ...]) -> str:
    """Join keys by dots; each is made printable and cut, since keys come from the file."""
    return ".".join("".join(c if c.isprintable() else "?" for c in key[:_MAX_KEY_LENGTH]) for key in place)
