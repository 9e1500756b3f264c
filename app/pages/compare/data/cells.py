"""Results against each other: one per cell of a figure, best of models on datasets, wins over baselines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from app.shared.data.selection import SAE, TASK, SaeAndBaseline, best_rows

_UNITS = {"k": 1e3, "m": 1e6}


@dataclass(frozen=True)
class Cells:
    """rows: one result per cell, with `n_results`, how many there were to choose from, and `by_test` (`best_rows`)."""

    rows: pd.DataFrame

    @property
    def by_test(self) -> int:
        """Cells that hold several results and show the one with the best test score: none is cross-validated."""
        return int((self.rows["by_test"] & (self.rows["n_results"] > 1)).sum())


@dataclass(frozen=True)
class WinRate:
    """The best SAE setting against the best setting of one baseline, dataset by dataset.

    n: datasets with both. apart: wins (losses) whose 95% intervals do not overlap. unknown: best_pairs without intervals.
    by_test: best_pairs in which a side was chosen by its test score. difference: mean of SAE minus baseline, test macro-F1.
    """

    baseline: str
    n: int
    wins: int
    wins_apart: int
    losses: int
    losses_apart: int
    unknown: int
    by_test: int
    difference: float


def filter_rows(table: pd.DataFrame, **wanted: Sequence[str]) -> pd.DataFrame:
    """Rows whose columns have one of the wanted values; nothing wanted is everything."""
    for column, values in wanted.items():
        if values:
            table = table[table[column].isin(list(values))]
    return table


def cells(table: pd.DataFrame, keys: Sequence[str]) -> Cells:
    """Of the results that share their values of `keys`, the one that `best_rows` chooses."""
    keys = list(dict.fromkeys(keys))
    if not keys:
        table, keys = table.assign(everything=""), ["everything"]
    sized = table.assign(n_results=table.groupby(keys, dropna=False)["run"].transform("size"))
    return Cells(best_rows(sized, keys))


def sorted_values(values: Sequence[Any]) -> list[Any]:
    """Different values ascending: numbers and widths (`3k` before `16k`) by size, then words; missing ones last."""
    return sorted(dict.fromkeys(None if pd.isna(value) else value for value in values), key=_size)


def best_by_model(table: pd.DataFrame, metric: str, minus_baseline: bool) -> pd.DataFrame:
    """Models down, datasets across: `metric` of the best SAE result, or how much that is above the best baseline's.

    Best is what `best_rows` chooses; a model's baselines are those on its own hidden states and random SAEs, and those
    that read no model. Missing where one side is.
    """
    best = best_rows(table[table["source"] == SAE], ["model", TASK])
    values = best.set_index(["model", TASK])[metric].astype(float)
    if minus_baseline:
        rivals = best_rows(table[table["source"] != SAE], ["model", TASK])
        for model, task in values.index:
            there = best_rows(rivals[(rivals[TASK] == task) & rivals["model"].isin([model, ""])], [TASK])
            values[model, task] -= there[metric].iloc[0] if len(there) else float("nan")
    return values.unstack(TASK)


def win_rates(table: pd.DataFrame) -> list[WinRate]:
    """One per baseline that shares a dataset with an SAE result, in the order of their names."""
    best = best_rows(table, [TASK, "source"])
    sides = {(row[TASK], row["source"]): row for _, row in best.iterrows()}
    found = []
    for source in sorted({source for _, source in sides if source != SAE}):
        best_pairs = [
            SaeAndBaseline(task, sides[task, SAE], sides[task, source])
            for task in sorted({task for task, _ in sides})
            if (task, SAE) in sides and (task, source) in sides
        ]
        if best_pairs:
            found.append(_win_rate(source, best_pairs))
    return found


def _win_rate(source: str, best_pairs: Sequence[SaeAndBaseline]) -> WinRate:
    differences = [(pair.difference or 0.0, pair.overlap) for pair in best_pairs]
    return WinRate(
        source,
        len(best_pairs),
        sum(gap > 0 for gap, _ in differences),
        sum(gap > 0 and overlap is False for gap, overlap in differences),
        sum(gap < 0 for gap, _ in differences),
        sum(gap < 0 and overlap is False for gap, overlap in differences),
        sum(overlap is None for _, overlap in differences),
        sum(pair.by_test for pair in best_pairs),
        sum(gap for gap, _ in differences) / len(differences),
    )


def _size(value: Any) -> tuple[int, float, str]:
    if value is None or value == "":
        return 2, 0.0, ""
    if isinstance(value, str):
        found = re.match(r"(\d+(?:\.\d+)?)([km]?)", value)
        return (0, float(found[1]) * _UNITS.get(found[2], 1.0), value) if found else (1, 0.0, value)
    return 0, float(value), ""
