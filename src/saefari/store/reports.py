"""How the last run ended, for those who come later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saefari.errors import StoreError
from saefari.store.files import read_json, write_json

LAST_RUN = "last_run.json"


@dataclass(frozen=True)
class RunRecord:
    """failures: (what failed, why)."""

    failures: list[tuple[str, str]]
    warnings: list[str]


def write_last_run(reports: Path, failures: Sequence[tuple[str, str]], warnings: Sequence[str]) -> None:
    """Record how a run ended, in place of the one before."""
    failed = [{"job": job, "reason": reason} for job, reason in failures]
    write_json(reports / LAST_RUN, {"failures": failed, "warnings": list(warnings)})


def read_last_run(reports: Path) -> RunRecord | None:
    """How the last run ended; None where there was none. Raises StoreError when the file is no such record."""
    record = read_json(reports / LAST_RUN)
    if record is None:
        return None
    try:
        failures = [(str(one["job"]), str(one["reason"])) for one in record["failures"]]
        return RunRecord(failures, [str(warning) for warning in record["warnings"]])
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{reports / LAST_RUN}: is not what SAEfari writes ({type(error).__name__}: {error})"
        ) from None
