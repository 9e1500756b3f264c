"""Comparison of results: best result per cell of a figure, best per model and dataset, win rates over baselines."""

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
    """rows: one result per cell, with `n_results`, the number of candidates, and `by_test` (see `best_rows`)."""

    rows: pd.DataFrame

    @property
    def by_test(self) -> int:
        """Number of cells with several results whose shown result was selected by test score."""
        return int((self.rows["by_test"] & (self.rows["n_results"] > 1)).sum())


@dataclass(frozen=True)
class WinRate:
    """The best SAE setting against the best setting of one baseline, dataset by dataset.

    n: datasets with both. apart: wins (losses) whose 95% intervals do not overlap. unknown: pairs without intervals.
    by_test: pairs with a side selected by test score. difference: mean test macro-F1 of SAE minus baseline.
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
    """Keep rows whose columns have one of the given values; an empty list keeps all."""
    for column, values in wanted.items():
        if values:
            table = table[table[column].isin(list(values))]
    return table


def best_per_cell(table: pd.DataFrame, keys: Sequence[str]) -> Cells:
    """Select the best result (`best_rows`) for each combination of `keys`."""
    keys = list(dict.fromkeys(keys))
    if not keys:
        table, keys = table.assign(everything=""), ["everything"]
    sized = table.assign(n_results=table.groupby(keys, dropna=False)["run"].transform("size"))
    return Cells(best_rows(sized, keys))


def sorted_values(values: Sequence[Any]) -> list[Any]:
    """Distinct values, sorted: numbers and widths (`3k` before `16k`) by size, then text, missing values last."""
    return sorted(dict.fromkeys(None if pd.isna(value) else value for value in values), key=_size)


def best_by_model(table: pd.DataFrame, metric: str, minus_baseline: bool) -> pd.DataFrame:
    """Table of `metric` for the best SAE result (rows: models, columns: datasets), optionally minus the best baseline.

    Best as in `best_rows`. Baselines of a model: its hidden states and random SAEs, and those without a model. NaN if
    a side is missing.
    """
    best = best_rows(table[table["source"] == SAE], ["model", TASK])
    values = best.set_index(["model", TASK])[metric].astype(float)
    if minus_baseline:
        baselines = best_rows(table[table["source"] != SAE], ["model", TASK])
        for model, task in values.index:
            own = best_rows(baselines[(baselines[TASK] == task) & baselines["model"].isin([model, ""])], [TASK])
            values[model, task] -= own[metric].iloc[0] if len(own) else float("nan")
    return values.unstack(TASK)


def win_rates(table: pd.DataFrame) -> list[WinRate]:
    """One win rate per baseline that shares a dataset with an SAE result, sorted by name."""
    best = best_rows(table, [TASK, "source"])
    sides = {(row[TASK], row["source"]): row for _, row in best.iterrows()}
    found = []
    for source in sorted({source for _, source in sides if source != SAE}):
        pairs = [
            SaeAndBaseline(task, sides[task, SAE], sides[task, source])
            for task in sorted({task for task, _ in sides})
            if (task, SAE) in sides and (task, source) in sides
        ]
        if pairs:
            found.append(_win_rate(source, pairs))
    return found


def _win_rate(source: str, pairs: Sequence[SaeAndBaseline]) -> WinRate:
    differences = [(pair.difference or 0.0, pair.overlap) for pair in pairs]
    return WinRate(
        source,
        len(pairs),
        sum(gap > 0 for gap, _ in differences),
        sum(gap > 0 and overlap is False for gap, overlap in differences),
        sum(gap < 0 for gap, _ in differences),
        sum(gap < 0 and overlap is False for gap, overlap in differences),
        sum(overlap is None for _, overlap in differences),
        sum(pair.by_test for pair in pairs),
        sum(gap for gap, _ in differences) / len(differences),
    )


def _size(value: Any) -> tuple[int, float, str]:
    if value is None or value == "":
        return 2, 0.0, ""
    if isinstance(value, str):
        found = re.match(r"(\d+(?:\.\d+)?)([km]?)", value)
        return (0, float(found[1]) * _UNITS.get(found[2], 1.0), value) if found else (1, 0.0, value)
    return 0, float(value), ""
