"""JSON files: one object per line, read as a stream, or one array of objects, read at once."""

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
"""Number of objects searched for column names, since objects may omit keys that are null."""
_EXPECTED = "a file must contain one JSON object per line, or one array of objects"
_CHUNK = 1 << 16


def json_tree(path: Path) -> Tree:
    """Return the keys of the first objects, including nested ones. Raises DataError for an empty file."""
    tree: Tree = {}
    for _, value in islice(_objects(path), _HEADER_ROWS):
        _add_keys(tree, value)
    if not tree:
        raise DataError(f"{path}: the file is empty; {_EXPECTED}")
    return tree


def json_count(path: Path) -> int:
    """Count the objects; reads the file once."""
    if _is_array(path):
        return sum(1 for _ in _objects(path))
    return sum(1 for _ in _lines(path))


def json_values(path: Path, columns: Sequence[Keys]) -> Iterator[tuple[object, ...]]:
    """Yield each object's values of the given columns; None for missing keys. Raises DataError with the place."""
    for place, value in _objects(path):
        yield tuple(_value_at(path, place, value, keys) for keys in columns)


def _add_keys(tree: Tree, value: Mapping[str, Any]) -> None:
    for key, nested in value.items():
        branch = tree.setdefault(key, {})
        if isinstance(nested, dict):
            _add_keys(branch, nested)


def _value_at(path: Path, place: str, value: Any, keys: Keys) -> object:
    for key in keys:
        if value is None:
            return None
        if not isinstance(value, dict):
            name, kind = ".".join(keys), type(value).__name__
            raise DataError(f"{path}: {place}: {shown(name)} cannot be read from a {kind}; expected an object")
        value = value.get(key)
    return value


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place, object) of every row; the place is a line or an array element."""
    unit, values = ("element", enumerate(_array(path), 1)) if _is_array(path) else ("line", _parsed_lines(path))
    for number, value in values:
        if not isinstance(value, dict):
            raise DataError(f"{path}: {unit} {number}: {type(value).__name__} instead of an object; {_EXPECTED}")
        yield f"{unit} {number}", value


def _is_array(path: Path) -> bool:
    """Whether the file starts with `[`."""
    with open_text(path, newline="\n") as file:
        while text := file.read(_CHUNK):
            if text.strip():
                return text.lstrip().startswith("[")
    return False


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of all lines that are not blank."""
    with open_text(path, newline="\n") as file:
        yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _parsed_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in _lines(path):
        try:
            yield number, _DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            raise _invalid(path, number, error) from None


def _array(path: Path) -> Iterator[Any]:
    """Yield the elements of an array, which is read into memory at once."""
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
    """Build a JSON object. Raises ValueError for duplicate keys, whose first value would be lost."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate key {shown(next(name for name in names if names.count(name) > 1))}")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _invalid(path: Path, line: int, error: Exception) -> DataError:
    reason = (getattr(error, "msg", None) or str(error)).removesuffix(" starting at")
    return DataError(f"{path}: line {line}: not valid JSON ({reason}); {_EXPECTED}")
