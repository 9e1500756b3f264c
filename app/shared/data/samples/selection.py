"""The selected sample: one test row of one result, and its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.engine import decide_rows
from app.shared.data.baselines import best_results_of_other_sources
from app.shared.data.one_result import OneResult, find_result
from app.shared.data.samples.rows import ResultRows, find_rows, runner_up, sample_folder
from app.shared.data.tree import Index, tree
from saefari.errors import StoreError

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision

_TOLERANCE = 0.01


@dataclass(frozen=True)
class SelectedSample:
    """One test row of a result. row: its number in the dataset. place: its index among the result's test rows."""

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
        return "correct" if self.label == self.predicted else "wrong"

    def decision(self) -> Decision:
        """Predict the row again with the stored classifier, with reasons. Raises StoreError if that is not possible."""
        samples = sample_folder(self.result)
        return decide_rows(self.result.folder, self.result.classifier, samples, [self.row])[0]

    def is_outdated(self, decision: Decision) -> bool:
        """Whether the stored features now give other probabilities than the stored prediction."""
        return bool(abs(decision.probabilities - self.rows.probabilities[self.place]).max() > _TOLERANCE)

    def compared_class(self, name: str) -> tuple[int, str]:
        """(class to compare with the predicted one, its role). name: a class, or anything else for the default."""
        default = runner_up(self.rows.probabilities[self.place], self.label)
        compared = self.rows.classes.index(name) if name in self.rows.classes else default
        if compared == self.label:
            return compared, "true class"
        return compared, "runner-up" if compared == default else "chosen"


def find_selected(run: str, classifier: str, row: int | None) -> SelectedSample:
    """Find a test row of a result. Raises StoreError if there is no such result, or it was not tested on the row."""
    index = tree().index()
    if row is None:
        raise StoreError("No row is selected.")
    return _shown(index, find_result(index, run, classifier), row)


def selected_in_baselines(shown: SelectedSample) -> tuple[list[SelectedSample], list[OneResult]]:
    """The same row in the best results of other sources, and those of these results that were not tested on it."""
    found, without = [], []
    for result in best_results_of_other_sources(shown.index, shown.result):
        try:
            found.append(_shown(shown.index, result, shown.row))
        except StoreError:
            without.append(result)
    return found, without


def _shown(index: Index, result: OneResult, row: int) -> SelectedSample:
    rows = find_rows(result)
    place = rows.place(row)
    if place is None:
        raise StoreError(f"This result was not tested on row {row}.")
    return SelectedSample(index, result, rows, row, place)
