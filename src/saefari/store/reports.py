"""How the last run ended, for those who come later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saefari.errors import StoreError
from saefari.store.files import read_json


@dataclass(frozen=True)
class RunRecord:
    """failures: (what failed, why)."""

    failures: list[tuple[str, str]]
    warnings: list[str]


def read_last_run(path: Path) -> RunRecord | None:
    """What `Layout.last_run` holds; None where there was no run. Raises StoreError when it is something else."""
    record = read_json(path)
    if record is None:
        return None
    try:
        failures = [(str(one["job"]), str(one["reason"])) for one in record["failures"]]
        return RunRecord(failures, [str(warning) for warning in record["warnings"]])
    except (KeyError, TypeError) as error:
        raise StoreError(f"{path}: is not what SAEfari writes ({type(error).__name__}: {error})") from None
