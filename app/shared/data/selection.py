"""Selection of results by cross-validation on training rows, or by test score if no result has that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from saefari import store

SAE = "sae"
TASK = "task"
"""The column that `with_tasks` adds: `<dataset>[/<config>]/<split>[ (<text_field>)]`."""


@dataclass(frozen=True)
class SaeAndBaseline:
    """The best SAE setting and the best baseline of a dataset; a missing side is None.

    overlap: whether the 95% intervals overlap; None if one is unknown. by_test: whether a side was selected by its
    test score because none of its results is cross-validated.
    """

    dataset: str
    sae: pd.Series | None
    baseline: pd.Series | None

    @property
    def overlap(self) -> bool | None:
        if self.sae is None or self.baseline is None:
            return None
        lows = [side.macro_f1_low for side in (self.sae, self.baseline)]
        highs = [side.macro_f1_high for side in (self.sae, self.baseline)]
        if any(pd.isna(bound) for bound in [*lows, *highs]):
            return None
        return bool(max(lows) <= min(highs))

    @property
    def by_test(self) -> bool:
        return any(side is not None and bool(side.by_test) for side in (self.sae, self.baseline))

    @property
    def difference(self) -> float | None:
        """Test macro-F1 of the SAE setting minus the baseline's."""
        if self.sae is None or self.baseline is None:
            return None
        return float(self.sae.macro_f1 - self.baseline.macro_f1)


def with_tasks(table: pd.DataFrame) -> pd.DataFrame:
    """Add the column `task` to the table of all results; it names the text_field if tasks differ only in that."""
    return table.assign(**{TASK: store.task_names(table[list(store.TASK)].itertuples(index=False, name=None))})


def best_first(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by cross-validation score, then those without one by test score."""
    return table.sort_values(["cv_macro_f1", "macro_f1"], ascending=False, kind="stable", na_position="last")


def best_rows(table: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """Select the row of each group with the highest cross-validation score.

    In a group without cross-validation scores (imported results), select the highest test score and set the column
    `by_test`: the best of several test scores is biased upwards.
    """
    if table.empty:
        return table.assign(by_test=False)
    chosen = best_first(table).drop_duplicates(list(groups))
    return chosen.sort_values(list(groups), kind="stable").assign(by_test=chosen["cv_macro_f1"].isna())


def best_pairs(table: pd.DataFrame) -> list[SaeAndBaseline]:
    """One pair per task, sorted by name. table: as returned by `with_tasks`."""
    best = best_rows(table.assign(is_sae=table["source"] == SAE), [TASK, "is_sae"])
    found = []
    for task, rows in best.groupby(TASK):
        sides = {bool(row.is_sae): row for _, row in rows.iterrows()}
        found.append(SaeAndBaseline(str(task), sides.get(True), sides.get(False)))
    return found
