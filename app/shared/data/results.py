"""The table of all results, and single records."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from app.shared.data.file_cache import FileCache, short_id
from app.shared.data.selection import with_tasks
from saefari.errors import StoreError
from saefari.store import FoundFile, Layout, find_files, has_complete_ending, read_result, read_summary, summary_table
from saefari.store.layout import RESULTS
from saefari.store.results import SUMMARY_COLUMNS

Problems = list[tuple[str, str]]
"""(path below the output folder, problem)."""


def find_results(layout: Layout, cache: FileCache) -> tuple[pd.DataFrame, dict[str, Path], Problems]:
    """Find results: (table with `run`, the folder's id, and `task`; run id -> folder; unreadable files).

    summary.csv is used for folders unchanged since it was written. Other results are read one by one, so that those
    of a running experiment appear before it ends. Rows without a folder have run "".
    """
    summary, written, problems = _read_summary(layout, cache)
    files, complete = {}, set()
    for file in find_files(layout.classifications, RESULTS):
        files[file.relative] = file
        if cache.read(_is_complete, file):
            complete.add(file.relative)
        else:
            problems.append((_place(file.relative), "is incomplete; run its configuration again"))
    changed = {name for name in complete if files[name].mtime_ns > written} | (complete - set(summary["folder"]))
    parts = [summary[~summary["folder"].isin(changed)]]
    for name in sorted(changed):
        rows = cache.read(_rows, files[name])
        if isinstance(rows, str):
            problems.append((_place(name), rows))
        else:
            parts.append(rows)
    table = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0].copy()
    gone = sorted(set(table["folder"]) - set(files))
    if gone:
        message = f"lists {len(gone)} results whose files are missing, for example {gone[0]!r}"
        problems.append(("classifications/summary.csv", message))
    table["run"] = [short_id(name) if name in complete else "" for name in table["folder"]]
    return with_tasks(table), {short_id(name): files[name].folder for name in complete}, problems


def read_record(folder: Path) -> dict[str, Any]:
    """Read results.json of a folder from the index. Raises StoreError if it is missing or not a result."""
    try:
        changed = (folder / RESULTS).stat().st_mtime_ns
    except OSError:
        raise StoreError(f"{folder / RESULTS} does not exist any more") from None
    return _read_record(folder, changed)


@lru_cache(maxsize=64)
def _read_record(folder: Path, changed: int) -> dict[str, Any]:
    record = read_result(folder)
    missing = {"classes", "classifiers", "settings", "summary"} - set(record)
    if missing:
        raise StoreError(f"{folder / RESULTS} is not what SAEfari writes: {', '.join(sorted(missing))} missing")
    return record


def _read_summary(layout: Layout, cache: FileCache) -> tuple[pd.DataFrame, int, Problems]:
    """Read summary.csv (empty if missing): (table, modification time, problems)."""
    empty = summary_table(pd.DataFrame(columns=SUMMARY_COLUMNS))
    try:
        status = layout.summary.stat()
    except OSError:
        return empty, 0, []
    file = FoundFile(layout.classifications, ".", layout.summary.name, status.st_size, status.st_mtime_ns)
    table = cache.read(_summary, file)
    if isinstance(table, str):
        return empty, 0, [("classifications/summary.csv", table)]
    return table, file.mtime_ns, []


def _summary(file: FoundFile) -> pd.DataFrame:
    return read_summary(file.path)


def _is_complete(file: FoundFile) -> bool:
    return has_complete_ending(file.path)


def _rows(file: FoundFile) -> pd.DataFrame:
    """A result's rows for the table."""
    rows = read_result(file.folder)["summary"]
    return summary_table([row | {"folder": file.relative} for row in rows])


def _place(relative: str) -> str:
    return f"classifications/{relative}/{RESULTS}"
