"""Results against each other: one per cell of a figure, best of models on datasets, wins over baselines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from app.data.selection import SAE, Duel, best_rows, dataset_names

TASK = "task"
"""The column that `with_tasks` adds: `<dataset>[/<config>]/<split>`."""
_UNITS = {"k": 1e3, "m": 1e6}


@dataclass(frozen=True)
class Cells:
    """rows: one result per cell, with `n_results`, how many there were to choose from.

    undecided: cells left out, since they hold several results and none has a cross-validation score.
    """

    rows: pd.DataFrame
    undecided: int


@dataclass(frozen=True)
class WinRate:
    """The best SAE setting against the best setting of one baseline, dataset by dataset.

    n: datasets with both. apart: wins (losses) whose 95% intervals do not overlap. unknown: duels without intervals.
    difference: mean of SAE minus baseline, test macro-F1.
    """

    baseline: str
    n: int
    wins: int
    wins_apart: int
    losses: int
    losses_apart: int
    unknown: int
    difference: float


def with_tasks(results: pd.DataFrame) -> pd.DataFrame:
    """The table with the column `task`."""
    return results.assign(task=dataset_names(results))


def narrowed(table: pd.DataFrame, **wanted: Sequence[str]) -> pd.DataFrame:
    """Rows whose columns have one of the wanted values; nothing wanted is everything."""
    for column, values in wanted.items():
        if values:
            table = table[table[column].isin(list(values))]
    return table


def cells(table: pd.DataFrame, keys: Sequence[str]) -> Cells:
    """Of the results that share their values of `keys`, the one that cross-validation chooses."""
    keys = list(dict.fromkeys(keys))
    if not keys:
        table, keys = table.assign(everything=""), ["everything"]
    sized = table.assign(n_results=table.groupby(keys, dropna=False)["run"].transform("size"))
    alone = sized["n_results"] == 1
    several = sized[~alone]
    rows = pd.concat([sized[alone], best_rows(several, keys)])
    return Cells(rows, several.groupby(keys, dropna=False).ngroups - (len(rows) - int(alone.sum())))


def in_order(values: Sequence[Any]) -> list[Any]:
    """Different values ascending: numbers and widths (`3k` before `16k`) by size, then words; missing ones last."""
    return sorted(dict.fromkeys(None if pd.isna(value) else value for value in values), key=_size)


def best_by_model(table: pd.DataFrame, metric: str, minus_baseline: bool) -> pd.DataFrame:
    """Models down, datasets across: `metric` of the best SAE result, or how much that is above the best baseline's.

    Best is what cross-validation chooses; a model's baselines are those on its own hidden states and random SAEs, and
    those that read no model. Missing where one side is.
    """
    best = best_rows(table[table["source"] == SAE], ["model", TASK])
    values = best.set_index(["model", TASK])[metric].astype(float)
    if minus_baseline:
        rivals = best_rows(table[table["source"] != SAE], ["model", TASK]).set_index(["model", TASK])
        scores = dict(zip(rivals.index, zip(rivals["cv_macro_f1"], rivals[metric], strict=True), strict=True))
        for model, task in values.index:
            there = [scores[key] for key in ((model, task), ("", task)) if key in scores]
            values[model, task] -= max(there)[1] if there else float("nan")
    return values.unstack(TASK)


def win_rates(table: pd.DataFrame) -> list[WinRate]:
    """One per baseline that shares a dataset with an SAE result, in the order of their names."""
    best = best_rows(table, [TASK, "source"])
    sides = {(row[TASK], row["source"]): row for _, row in best.iterrows()}
    found = []
    for source in sorted({source for _, source in sides if source != SAE}):
        duels = [
            Duel(task, sides[task, SAE], sides[task, source])
            for task in sorted({task for task, _ in sides})
            if (task, SAE) in sides and (task, source) in sides
        ]
        if duels:
            found.append(_win_rate(source, duels))
    return found


def _win_rate(source: str, duels: Sequence[Duel]) -> WinRate:
    differences = [(duel.difference or 0.0, duel.overlap) for duel in duels]
    return WinRate(
        source,
        len(duels),
        sum(gap > 0 for gap, _ in differences),
        sum(gap > 0 and overlap is False for gap, overlap in differences),
        sum(gap < 0 for gap, _ in differences),
        sum(gap < 0 and overlap is False for gap, overlap in differences),
        sum(overlap is None for _, overlap in differences),
        sum(gap for gap, _ in differences) / len(differences),
    )


def _size(value: Any) -> tuple[int, float, str]:
    if value is None or value == "":
        return 2, 0.0, ""
    if isinstance(value, str):
        found = re.match(r"(\d+(?:\.\d+)?)([km]?)", value)
        return (0, float(found[1]) * _UNITS.get(found[2], 1.0), value) if found else (1, 0.0, value)
    return 0, float(value), ""
