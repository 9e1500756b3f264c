"""Columns by their names, those inside objects too: `message.body` is the value `body` of the column `message`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from saefari.errors import DataError, enumerated, shown

Tree = dict[str, "Tree"]
"""Column name -> the columns inside it; empty where it holds no objects."""
Keys = tuple[str, ...]
"""The keys that lead to a value, the column first."""


def column_names(tree: Tree, above: str = "") -> Iterator[str]:
    """Every name that `find_keys` knows: each column, followed by those inside it."""
    for name, inside in tree.items():
        yield above + name
        yield from column_names(inside, f"{above}{name}.")


def find_keys(tree: Tree, name: str) -> Keys | None:
    """The keys that a name with dots means; None = there is no such column.

    A key that holds the dots itself comes before one inside an object, at every level.
    """
    if name in tree:
        return (name,)
    for dot in reversed([place for place, character in enumerate(name) if character == "."]):
        keys = find_keys(tree.get(name[:dot], {}), name[dot + 1 :])
        if keys is not None:
            return (name[:dot], *keys)
    return None


def require_column(path: Path, tree: Tree, keys: Keys) -> None:
    """Raise DataError unless the file `path`, whose columns are `tree`, has the column that `keys` lead to."""
    inside = tree
    for key in keys:
        if key not in inside:
            raise missing_column(path, tree, ".".join(keys))
        inside = inside[key]


def missing_column(path: Path, tree: Tree, name: str) -> DataError:
    """An error that lists the columns of a file that lacks one."""
    return DataError(f"{path}: has no column {shown(name)}; its columns are {enumerated(list(column_names(tree)))}")


def require_unique(path: Path, names: Sequence[str]) -> Sequence[str]:
    """The names as given. Raises DataError where a name is there twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the column {', '.join(map(shown, twice))} is there twice; rename one")
    return names
