"""JSON files: one object a line, read as a stream, or one array of objects, read as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from saefari.data.columns import Keys, Tree
from saefari.data.text_files import open_text
from saefari.errors import DataError, shown

_HEADER_ROWS = 1000
"""Objects looked at for column names: an object may leave out keys that are null."""
_WANTED = "a file must hold one JSON object a line, or one array of objects"
_CHUNK = 1 << 16


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
    """Each object's values of the given columns; None where a key is left out. Raises DataError naming the place."""
    for place, value in _objects(path):
        yield tuple(_value_at(path, place, value, keys) for keys in columns)


def _add_keys(tree: Tree, value: Mapping[str, Any]) -> None:
    for key, inside in value.items():
        branch = tree.setdefault(key, {})
        if isinstance(inside, dict):
            _add_keys(branch, inside)


def _value_at(path: Path, place: str, value: Any, keys: Keys) -> object:
    for key in keys:
        if value is None:
            return None
        if not isinstance(value, dict):
            name, kind = ".".join(keys), type(value).__name__
            raise DataError(f"{path}: {place}: {shown(name)} is sought in a {kind} that should be an object")
        value = value.get(key)
    return value


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every row; the place is a line, or an element of an array."""
    unit, values = ("element", enumerate(_array(path), 1)) if _is_array(path) else ("line", _parsed_lines(path))
    for number, value in values:
        if not isinstance(value, dict):
            raise DataError(f"{path}: {unit} {number}: holds {type(value).__name__}, not an object; {_WANTED}")
        yield f"{unit} {number}", value


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


def _array(path: Path) -> Iterator[Any]:
    """The elements of an array, which is in memory as a whole."""
    with open_text(path, newline="\n") as file:
        text = file.read()
    try:
        elements = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _invalid(path, error.lineno, error) from None
    except (ValueError, RecursionError) as error:
        raise _invalid(path, 1, error) from None
    yield from elements


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
