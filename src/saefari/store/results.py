"""results.json of each setting, and the table of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.log import logger
from saefari.store.files import read_json
from saefari.store.layout import RESULTS


def finished_result(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """A setting's results if they were made from the same inputs and settings; else None."""
    try:
        result: dict[str, Any] | None = read_json(folder / RESULTS)
    except StoreError:
        return None  # damaged: the cell is computed again
    return result if result is not None and result.get("fingerprint") == fingerprint else None


def read_result(folder: Path) -> dict[str, Any]:
    """A setting's results. Raises StoreError where there are none."""
    result: dict[str, Any] | None = read_json(folder / RESULTS)
    if result is None:
        raise StoreError(f"{folder / RESULTS} is not there: run `python run_experiments.py --classify-only`")
    return result


def iter_results(classifications: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(folder, results) of every setting below a folder, in a fixed order; unreadable ones are logged and left out."""
    for path in sorted(classifications.rglob(RESULTS)):
        try:
            yield path.parent, read_result(path.parent)
        except StoreError as error:
            logger.warning("%s", error)
