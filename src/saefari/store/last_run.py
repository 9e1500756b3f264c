"""How the last run ended, for those who come later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from saefari.errors import StoreError
from saefari.store.files import read_json, write_json

_LISTED = 8  # of what was not done, in one line


class Failure(NamedTuple):
    """A job that failed, why, and the work that was not done because of it."""

    job: str
    reason: str
    not_done: tuple[str, ...] = ()

    @property
    def consequence(self) -> str:
        """What was not done, as one line; empty where the failure cost nothing else."""
        more = f" and {len(self.not_done) - _LISTED:,} more" if len(self.not_done) > _LISTED else ""
        return f"not done because of this: {', '.join(self.not_done[:_LISTED])}{more}" if self.not_done else ""


@dataclass(frozen=True)
class RunRecord:
    """What went wrong in a run."""

    failures: list[Failure]
    warnings: list[str]


def write_last_run(path: Path, failures: Sequence[Failure], warnings: Sequence[str]) -> None:
    """Write what `read_last_run` reads."""
    write_json(path, {"failures": [failure._asdict() for failure in failures], "warnings": list(warnings)})


def read_last_run(path: Path) -> RunRecord | None:
    """What `Layout.last_run` holds; None where there was no run. Raises StoreError when it is something else."""
    record = read_json(path)
    if record is None:
        return None
    try:
        failures = [
            Failure(str(one["job"]), str(one["reason"]), tuple(str(what) for what in one.get("not_done", ())))
            for one in record["failures"]
        ]
        return RunRecord(failures, [str(warning) for warning in record["warnings"]])
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: is not what SAEfari writes ({type(error).__name__}: {error})") from None
