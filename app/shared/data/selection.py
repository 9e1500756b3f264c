"""Choosing among results: by cross-validation on training rows, by the test score only where no result has that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from saefari import store

SAE = "sae"
TASK = "task"
"""The column that `with_tasks` adds: `<dataset>[/<config>]/<split>[ (<text_field>)]`."""


@dataclass(frozen=True)
class Duel:
    """The best SAE setting of a dataset against its best baseline; a missing side is None.

    overlap: whether the 95% intervals overlap; None where one is unknown. by_test: one side at least was chosen by
    its test score, since none of its results is cross-validated.
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
    """The table of all results with the column `task`; the text_field stands in it where it tells tasks apart."""
    return table.assign(**{TASK: store.task_names(table[list(store.TASK)].itertuples(index=False, name=None))})


def best_first(table: pd.DataFrame) -> pd.DataFrame:
    """The rows by cross-validation score, then, of those without one, by test score."""
    return table.sort_values(["cv_macro_f1", "macro_f1"], ascending=False, kind="stable", na_position="last")


def best_rows(table: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """The row of each group with the highest cross-validation score; rows without one lose against the others.

    Of a group in which no row has one (imported results) the row with the highest test score, marked in the column
    `by_test`: the best of several test scores is too good.
    """
    if table.empty:
        return table.assign(by_test=False)
    chosen = best_first(table).drop_duplicates(list(groups))
    return chosen.sort_values(list(groups), kind="stable").assign(by_test=chosen["cv_macro_f1"].isna())


def duels(table: pd.DataFrame) -> list[Duel]:
    """One per task, in the order of their names. table: as `with_tasks` gives it."""
    best = best_rows(table.assign(is_sae=table["source"] == SAE), [TASK, "is_sae"])
    found = []
    for task, rows in best.groupby(TASK):
        sides = {bool(row.is_sae): row for _, row in rows.iterrows()}
        found.append(Duel(str(task), sides.get(True), sides.get(False)))
    return found
