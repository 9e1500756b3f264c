"""Choosing among results: by cross-validation on training rows, never by the test score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

SAE = "sae"
TASK = ["dataset", "config", "split"]


@dataclass(frozen=True)
class Duel:
    """The best SAE setting of a dataset against its best baseline; a missing side is None.

    overlap: whether the 95% intervals overlap; None where one is unknown.
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
    def difference(self) -> float | None:
        """Test macro-F1 of the SAE setting minus the baseline's."""
        if self.sae is None or self.baseline is None:
            return None
        return float(self.sae.macro_f1 - self.baseline.macro_f1)


def best_rows(table: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """The row with the highest cross-validation score of each group; rows without one compete by nothing and lose.

    A group in which no row has a cross-validation score (imported results) is left out.
    """
    judged = table[table["cv_macro_f1"].notna()]
    if judged.empty:
        return judged
    return judged.loc[judged.groupby(list(groups), sort=True, dropna=False)["cv_macro_f1"].idxmax()]


def dataset_names(table: pd.DataFrame) -> pd.Series:
    """`<dataset>[/<config>]/<split>` of each row."""
    config = table["config"].where(table["config"] == "", "/" + table["config"])
    return table["dataset"] + config + "/" + table["split"]


def duels(table: pd.DataFrame) -> list[Duel]:
    """One per dataset, in the order of their names."""
    named = table.assign(task=dataset_names(table), is_sae=table["source"] == SAE)
    best = best_rows(named, ["task", "is_sae"])
    found = []
    for task, rows in best.groupby("task"):
        sides = {bool(row.is_sae): row for _, row in rows.iterrows()}
        found.append(Duel(str(task), sides.get(True), sides.get(False)))
    return found
