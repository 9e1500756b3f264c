"""The index of an output tree: which results, codes and SAEs there are, under ids that are no paths."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from flask import current_app

from app.shared.data.codes import CodeSet, find_code_sets
from app.shared.data.memory import Memory
from app.shared.data.results import find_results
from app.shared.data.saes import Sae, collect_saes
from saefari.store import Layout

_SECONDS_BETWEEN_SCANS = 2.0
_SECONDS_TO_TRUST = 30.0
"""Up to this age an index is shown while a newer one is made: thousands of folders take half a second to walk."""


@dataclass(frozen=True)
class Index:
    """What one look at the tree found.

    results: one row per setting and classifier, with `run`, the id of its folder ("" where that is gone).
    folders: run id -> folder of a result.
    code_sets, saes: by id.
    problems: (path below the output folder, what is wrong with it).
    """

    results: pd.DataFrame
    folders: dict[str, Path]
    code_sets: dict[str, CodeSet]
    saes: dict[str, Sae]
    problems: list[tuple[str, str]]


@dataclass
class OutputTree:
    """An output folder, looked at again when it was not for a while."""

    output: Path
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.layout = Layout.below(self.output)
        self._lock = threading.Lock()
        self._scanning = threading.Lock()
        self._scanned = float("-inf")
        self._memory = Memory()

    def index(self) -> Index:
        """The index: of a moment ago while pages are being opened, of now after a pause."""
        with self._lock:
            age = time.monotonic() - self._scanned
            if age > _SECONDS_TO_TRUST:
                self._keep(self._scan())
            elif age > _SECONDS_BETWEEN_SCANS and not self._scanning.locked():
                threading.Thread(target=self._scan_behind, daemon=True).start()
            return self._index

    def _scan_behind(self) -> None:
        index = self._scan()
        with self._lock:
            self._keep(index)

    def _keep(self, index: Index) -> None:
        self._index, self._scanned = index, time.monotonic()

    def _scan(self) -> Index:
        with self._scanning:
            results, folders, problems = find_results(self.layout, self._memory)
            code_sets, more = find_code_sets(self.layout, self._memory)
            saes, yet_more = collect_saes(self.layout, code_sets.values(), self._memory)
            self._memory.forget_unused()
        return Index(results, folders, code_sets, saes, [*problems, *more, *yet_more])


def tree() -> OutputTree:
    """The tree that the running app shows."""
    found: OutputTree = current_app.config["SAEFARI_TREE"]
    return found
