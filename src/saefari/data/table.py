"""What every kind of dataset looks like before its columns get their meaning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")

_BATCH_ROWS = 1024
_BATCH_BYTES = 1 << 24


class Table(Protocol):
    """Rows of named columns, read as a stream."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in the source's order; cheap to ask for."""

    @property
    def folder(self) -> Path | None:
        """Where relative paths in its columns start; None where no column can name a file beside the rows."""

    def count(self) -> int:
        """Number of rows."""

    def fingerprint(self) -> str:
        """Changes whenever the rows do; files that the rows name are not part of them."""

    def sources(self) -> str:
        """Hash of what the rows are read from, taken without reading them: equal only where the rows are.

        It may change where `fingerprint` does not.
        """

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Each row's values of the given columns, in source order; rows: of these alone, ascending."""


def take_rows(values: Iterable[T], rows: Sequence[int] | None) -> Iterator[T]:
    """Of a stream the values at these places, ascending; all of them where rows is None."""
    if rows is None:
        yield from values
        return
    stream, place = iter(values), 0
    for row in rows:
        yield next(islice(stream, row - place, None))
        place = row + 1


def rows_per_batch(n_rows: int, n_bytes: int) -> int:
    """How many rows of a table of n_rows and n_bytes to hold at once: many short texts, few images."""
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * n_rows // max(1, n_bytes)))
