"""What every kind of dataset looks like before its columns get their meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol


class Table(Protocol):
    """Rows of named columns, read as a stream."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in the source's order; cheap to ask for."""

    def count(self) -> int:
        """Number of rows."""

    def fingerprint(self) -> str:
        """Changes whenever the rows do."""

    def values(self, fields: Sequence[str]) -> Iterator[tuple[object, ...]]:
        """Each row's values of the given columns, in source order."""
