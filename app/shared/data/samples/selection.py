"""The sample that a page shows: one test row of one result, and what the stored classifier says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.engine import decide_rows
from app.shared.data.baselines import best_of_other_sources
from app.shared.data.one_result import OneResult, find_result
from app.shared.data.samples.rows import ResultRows, find_rows, runner_up, sample_folder
from app.shared.data.tree import Index, tree
from saefari.errors import StoreError

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision

_TOLERANCE = 0.01


@dataclass(frozen=True)
class Shown:
    """place: where the dataset's row stands among the result's test rows."""

    index: Index
    result: OneResult
    rows: ResultRows
    row: int
    place: int

    @property
    def label(self) -> int:
        return int(self.rows.labels[self.place])

    @property
    def predicted(self) -> int:
        return int(self.rows.predicted[self.place])

    @property
    def verdict(self) -> str:
        return "right" if self.label == self.predicted else "wrong"

    def decision(self) -> Decision:
        """What the stored classifier says of the row now. Raises StoreError where it cannot say."""
        samples = sample_folder(self.result)
        return decide_rows(self.result.folder, self.result.classifier, samples, [self.row])[0]

    def is_made_anew(self, decision: Decision) -> bool:
        """Whether what is stored now gives other probabilities than when the result was made."""
        return bool(abs(decision.probabilities - self.rows.probabilities[self.place]).max() > _TOLERANCE)

    def rival(self, against: str) -> tuple[int, str]:
        """The class to hold against the predicted one, and what it is; against: its name, or anything for the usual."""
        usual = runner_up(self.rows.probabilities[self.place], self.label)
        rival = self.rows.classes.index(against) if against in self.rows.classes else usual
        if rival == self.label:
            return rival, "the true class"
        return rival, "runner-up" if rival == usual else "chosen"


def find_shown(run: str, classifier: str, row: int | None) -> Shown:
    """Raises StoreError where there is no such result, or it was not tested on the row."""
    index = tree().index()
    if row is None:
        raise StoreError("No row is picked.")
    return _shown(index, find_result(index, run, classifier), row)


def shown_by_others(shown: Shown) -> tuple[list[Shown], list[OneResult]]:
    """The same row in the best results of other sources; and those of these that were not tested on it."""
    found, without = [], []
    for result in best_of_other_sources(shown.index, shown.result):
        try:
            found.append(_shown(shown.index, result, shown.row))
        except StoreError:
            without.append(result)
    return found, without


def _shown(index: Index, result: OneResult, row: int) -> Shown:
    rows = find_rows(result)
    place = rows.place(row)
    if place is None:
        raise StoreError(f"This result was not tested on row {row}.")
    return Shown(index, result, rows, row, place)
