"""Index of an output tree: results, codes and SAEs by id."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from flask import current_app

from app.shared.data.codes import CodeSet, find_code_sets
from app.shared.data.file_cache import FileCache
from app.shared.data.results import find_results
from app.shared.data.saes import Sae, collect_saes
from saefari.store import Layout

_SECONDS_BETWEEN_SCANS = 2.0
_MAX_AGE_SECONDS = 30.0
"""An index up to this age is used while a new one is built: scanning thousands of folders takes half a second."""


@dataclass(frozen=True)
class Index:
    """Result of one scan of the tree.

    results: one row per setting and classifier, with `run`, the id of its folder ("" if the folder is missing).
    folders: run id -> folder of a result.
    code_sets, saes: by id.
    problems: (path below the output folder, problem).
    """

    results: pd.DataFrame
    folders: dict[str, Path]
    code_sets: dict[str, CodeSet]
    saes: dict[str, Sae]
    problems: list[tuple[str, str]]


@dataclass
class OutputTree:
    """An output folder whose index is refreshed when it is out of date."""

    output: Path
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.layout = Layout.below(self.output)
        self._lock = threading.Lock()
        self._scanning = threading.Lock()
        self._scanned = float("-inf")
        self._cache = FileCache()

    def index(self) -> Index:
        """The index, refreshed in the background if recent, or before returning if older than _MAX_AGE_SECONDS."""
        with self._lock:
            age = time.monotonic() - self._scanned
            if age > _MAX_AGE_SECONDS:
                self._keep(self._scan())
            elif age > _SECONDS_BETWEEN_SCANS and not self._scanning.locked():
                threading.Thread(target=self._scan_in_background, daemon=True).start()
            return self._index

    def _scan_in_background(self) -> None:
        index = self._scan()
        with self._lock:
            self._keep(index)

    def _keep(self, index: Index) -> None:
        self._index, self._scanned = index, time.monotonic()

    def _scan(self) -> Index:
        with self._scanning:
            results, folders, problems = find_results(self.layout, self._cache)
            code_sets, more = find_code_sets(self.layout, self._cache)
            saes, yet_more = collect_saes(self.layout, code_sets.values(), self._cache)
            self._cache.forget_unused()
        return Index(results, folders, code_sets, saes, [*problems, *more, *yet_more])


def tree() -> OutputTree:
    """The output tree of the running app."""
    found: OutputTree = current_app.config["SAEFARI_TREE"]
    return found
