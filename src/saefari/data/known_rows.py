"""Fingerprint and number of a dataset's rows, stored so that unchanged rows need not be read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.data.table import Table
from saefari.fingerprint import code_digest, fingerprint


@dataclass(frozen=True)
class KnownRows:
    """Fingerprint and number of a table's rows, valid while the digest of its sources is the same.

    sources: see `sources_digest`. fingerprint, n_rows: the table's `fingerprint()` and `count()`.
    """

    sources: str
    fingerprint: str
    n_rows: int

    @classmethod
    def from_record(cls, record: Any) -> KnownRows | None:
        """Invert `dataclasses.asdict`; None for invalid records."""
        if not isinstance(record, Mapping):
            return None
        try:
            return cls(str(record["sources"]), str(record["fingerprint"]), int(record["n_rows"]))
        except (KeyError, TypeError, ValueError):
            return None


def sources_digest(table: Table) -> str:
    """Return a digest of everything that determines a table's rows: their sources and the code of this package.

    Tables with equal digests have equal rows. Computing it hashes files but reads no rows.
    """
    return fingerprint({"sources": table.sources(), "code": code_digest(Path(__file__).parent)})
