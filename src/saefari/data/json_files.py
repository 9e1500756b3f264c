"""JSON files: one object a line, or one array of objects; in either case one object is held at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

from saefari.data.columns import Keys, Tree
from saefari.data.text_files import open_text
from saefari.errors import DataError, shown

_HEADER_ROWS = 1000
"""Objects looked at for column names: an object may leave out keys that are null."""
_WANTED = "a file must hold one JSON object a line, or one array of objects"
_SPACE = re.compile(r"[ \t\n\r]*")
_CHUNK = 1 << 16
_LONGEST_LITERAL = len("-Infinity")


def json_tree(path: Path) -> Tree:
    """The keys of the first objects, and those inside them. Raises DataError for an empty file."""
    tree: Tree = {}
    for _, value in islice(_objects(path), _HEADER_ROWS):
        _add_keys(tree, value)
    if not tree:
        raise DataError(f"{path}: the file is empty; {_WANTED}")
    return tree


def json_count(path: Path) -> int:
    """Number of objects; reads the file once."""
    if _is_array(path):
        return sum(1 for _ in _objects(path))
    return sum(1 for _ in _lines(path))


def json_values(path: Path, columns: Sequence[Keys]) -> Iterator[tuple[object, ...]]:
    """Each object's values of the given columns; None where a key is left out. Raises DataError naming the line."""
    for line, value in _objects(path):
        yield tuple(_reach(path, line, value, keys) for keys in columns)


def _add_keys(tree: Tree, value: Mapping[str, Any]) -> None:
    for key, inside in value.items():
        branch = tree.setdefault(key, {})
        if isinstance(inside, dict):
            _add_keys(branch, inside)


def _reach(path: Path, line: int, value: Any, keys: Keys) -> object:
    for key in keys:
        if value is None:
            return None
        if not isinstance(value, dict):
            name, kind = ".".join(keys), type(value).__name__
            raise DataError(f"{path}: line {line}: {shown(name)} is sought in a {kind} that should be an object")
        value = value.get(key)
    return value


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of every row."""
    for line, value in _array(path) if _is_array(path) else _parsed_lines(path):
        if not isinstance(value, dict):
            raise DataError(f"{path}: line {line}: holds a {type(value).__name__}; {_WANTED}")
        yield line, value


def _is_array(path: Path) -> bool:
    """The file begins with `[`."""
    with open_text(path, newline="\n") as file:
        while text := file.read(_CHUNK):
            if text.strip():
                return text.lstrip().startswith("[")
    return False


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) of every line that is not blank."""
    with open_text(path, newline="\n") as file:
        yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _parsed_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in _lines(path):
        try:
            yield number, _DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            raise _invalid(path, number, error) from None


def _array(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, value) of every element of an array."""
    with open_text(path, newline="\n") as file:
        reader = _ArrayReader(file)
        try:
            reader.take("[")
            if reader.peek() == "]":
                reader.take("]")
            else:
                yield from reader.elements()
            if reader.peek():
                raise ValueError("the array has ended, and more follows")
        except (ValueError, RecursionError) as error:
            if isinstance(error, UnicodeDecodeError):  # has a message of its own
                raise
            raise _invalid(path, reader.line, error) from None


class _ArrayReader:
    """The elements of a JSON array, decoded one after the other while the file is read in pieces."""

    def __init__(self, file: TextIOWrapper) -> None:
        self._file = file
        self._text = ""
        self._place = 0
        self.line = 1

    def elements(self) -> Iterator[tuple[int, Any]]:
        """(line number, value) up to the end of the array. Raises ValueError where it is no array."""
        following = ","
        while following == ",":
            self.peek()
            line = self.line
            yield line, self._value()
            following = self.take(",]")

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._place)
            assert match is not None
            self._move(match.end())
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._read_on():
                return ""

    def take(self, expected: str) -> str:
        """Go past the next character, one of the expected ones."""
        found = self.peek()
        if not found or found not in expected:
            wanted = " or ".join(map(repr, expected))
            raise ValueError(f"{wanted} expected, found {repr(found) if found else 'the end of the file'}")
        self._move(self._place + 1)
        return found

    def _value(self) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self._text) - _LONGEST_LITERAL or error.msg.startswith("Unterminated string")
                if cut and self._read_on():
                    continue
                self._move(error.pos)
                raise
            self._move(end)
            return value

    def _move(self, place: int) -> None:
        self.line += self._text.count("\n", self._place, place)
        self._place = place

    def _read_on(self) -> bool:
        """Read as much again as is not yet decoded, so that a long element is decoded only a few times."""
        rest = self._text[self._place :]
        more = self._file.read(max(_CHUNK, len(rest)))
        self._text, self._place = rest + more, 0
        return bool(more)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; raises ValueError for a key that is there twice, of which one value would be lost."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {shown(next(name for name in names if names.count(name) > 1))} is there twice")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _invalid(path: Path, line: int, error: Exception) -> DataError:
    reason = (getattr(error, "msg", None) or str(error)).removesuffix(" starting at")
    return DataError(f"{path}: line {line}: not valid JSON ({reason}); {_WANTED}")
