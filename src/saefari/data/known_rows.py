"""What reading a dataset's rows told of them, kept so that unchanged rows need not be read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.data.table import Table
from saefari.fingerprint import code_digest, fingerprint


@dataclass(frozen=True)
class KnownRows:
    """The fingerprint and number of a table's rows, as they were when its sources had a digest.

    sources: see `sources_digest`. fingerprint, n_rows: the table's own `fingerprint()` and `count()`.
    """

    sources: str
    fingerprint: str
    n_rows: int

    @classmethod
    def from_record(cls, record: Any) -> KnownRows | None:
        """The inverse of `dataclasses.asdict`; None for anything else."""
        if not isinstance(record, Mapping):
            return None
        try:
            return cls(str(record["sources"]), str(record["fingerprint"]), int(record["n_rows"]))
        except (KeyError, TypeError, ValueError):
            return None


def sources_digest(table: Table) -> str:
    """Digest of everything that decides a table's rows: the content of what they are read from and our reading code.

    Two tables of equal digest have the same rows. It is found without reading rows, so at the speed of hashing files.
    """
    return fingerprint({"sources": table.sources(), "code": code_digest(Path(__file__).parent)})
