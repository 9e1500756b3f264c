"""Failures and warnings of the last run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from saefari.errors import StoreError
from saefari.store.files import read_json, write_json

_MAX_LISTED = 8  # skipped work items named in one line


class Failure(NamedTuple):
    """Failed job, the reason, and the work skipped because of it."""

    job: str
    reason: str
    not_done: tuple[str, ...] = ()

    @property
    def consequence(self) -> str:
        """One line that lists the skipped work; empty if there is none."""
        more = f" and {len(self.not_done) - _MAX_LISTED:,} more" if len(self.not_done) > _MAX_LISTED else ""
        return f"not done because of this: {', '.join(self.not_done[:_MAX_LISTED])}{more}" if self.not_done else ""


@dataclass(frozen=True)
class RunRecord:
    """Failures and warnings of a run."""

    failures: list[Failure]
    warnings: list[str]


def write_last_run(path: Path, failures: Sequence[Failure], warnings: Sequence[str]) -> None:
    """Write the failures and warnings of a run."""
    write_json(path, {"failures": [failure._asdict() for failure in failures], "warnings": list(warnings)})


def read_last_run(path: Path) -> RunRecord | None:
    """Read the record at `Layout.last_run`, or None if there was no run. Raises StoreError if it is not valid."""
    record = read_json(path)
    if record is None:
        return None
    try:
        failures = [
            Failure(str(one["job"]), str(one["reason"]), tuple(map(str, one.get("not_done", ()))))
            for one in record["failures"]
        ]
        return RunRecord(failures, [str(warning) for warning in record["warnings"]])
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: not a valid record of a run ({type(error).__name__}: {error}); remove it") from None
