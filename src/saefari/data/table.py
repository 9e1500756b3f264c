"""Common interface of all kinds of datasets, before columns are interpreted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")

_BATCH_ROWS = 1024
_BATCH_BYTES = 1 << 24


class Table(Protocol):
    """Stream of rows with named columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in source order; fast."""

    @property
    def folder(self) -> Path | None:
        """Base of relative paths in columns; None if columns cannot refer to files."""

    def count(self) -> int:
        """Return the number of rows."""

    def fingerprint(self) -> str:
        """Return a fingerprint of the rows, without the content of files that they refer to."""

    def sources(self) -> str:
        """Hash the sources of the rows without reading rows. Equal hashes imply equal rows.

        May change although `fingerprint` does not.
        """

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Yield each row's values of the given columns, in source order. rows: ascending selection; None = all."""


def take_rows(values: Iterable[T], rows: Sequence[int] | None) -> Iterator[T]:
    """Yield the values of a stream at the given ascending positions; None = all."""
    if rows is None:
        yield from values
        return
    stream, position = iter(values), 0
    for row in rows:
        yield next(islice(stream, row - position, None))
        position = row + 1


def rows_per_batch(n_rows: int, n_bytes: int) -> int:
    """Return how many rows of a table of n_rows and n_bytes to read at once, so that batches have bounded size."""
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * n_rows // max(1, n_bytes)))
