"""Column names, including nested ones: `message.body` is the key `body` of the column `message`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from saefari.errors import DataError, enumerated, shown

Tree = dict[str, "Tree"]
"""Column name -> its nested columns; empty if it contains no objects."""
Keys = tuple[str, ...]
"""Path of keys to a value, starting with the column."""


def column_names(tree: Tree, prefix: str = "") -> Iterator[str]:
    """Yield every name that `find_keys` accepts: each column, followed by its nested columns."""
    for name, nested in tree.items():
        yield prefix + name
        yield from column_names(nested, f"{prefix}{name}.")


def find_keys(tree: Tree, name: str) -> Keys | None:
    """Return the keys of a dotted name; None if there is no such column.

    At every level, a key that itself contains dots takes precedence over nested keys.
    """
    if name in tree:
        return (name,)
    for dot in reversed([place for place, character in enumerate(name) if character == "."]):
        keys = find_keys(tree.get(name[:dot], {}), name[dot + 1 :])
        if keys is not None:
            return (name[:dot], *keys)
    return None


def require_column(path: Path, tree: Tree, keys: Keys) -> None:
    """Raise DataError unless the file `path`, with columns `tree`, has the column `keys`."""
    nested = tree
    for key in keys:
        if key not in nested:
            raise missing_column(path, tree, ".".join(keys))
        nested = nested[key]


def missing_column(path: Path, tree: Tree, name: str) -> DataError:
    """Return the error for a column that a file lacks; it lists the existing columns."""
    return DataError(f"{path}: column {shown(name)} does not exist; columns: {enumerated(list(column_names(tree)))}")


def require_unique(path: Path, names: Sequence[str]) -> Sequence[str]:
    """Return the names. Raises DataError if one occurs twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: duplicate column {', '.join(map(shown, repeated))}; rename one")
    return names
