"""The best results of other sources on the same dataset: what a result is to be held against."""

from __future__ import annotations

import pandas as pd

from app.shared.data.one_result import OneResult, find_result
from app.shared.data.selection import SAE, TASK, best_rows
from app.shared.data.tree import Index

_SOURCES = (SAE, "hidden", "tfidf", "pixels")


def best_of_other_sources(index: Index, result: OneResult) -> list[OneResult]:
    """The results of `rows_of_other_sources`. Raises StoreError where a record cannot be read."""
    return [find_result(index, str(row.run), str(row.classifier)) for row in rows_of_other_sources(index, result)]


def rows_of_other_sources(index: Index, result: OneResult) -> list[pd.Series]:
    """Of SAE features, hidden states and TF-IDF, but for the result's own, what cross-validation chooses.

    Of the same model, where the result has one.
    """
    rows = _rivals(index.results, result.row)
    others = rows[rows["source"].isin(_SOURCES) & (rows["source"] != result.row.source)]
    best = best_rows(others, ["source"])
    ordered = sorted(best.iterrows(), key=lambda item: _SOURCES.index(item[1].source))
    return [row for _, row in ordered]


def best_baseline(results: pd.DataFrame, row: pd.Series) -> pd.Series | None:
    """The baseline that cross-validation chooses on a result's dataset, for its model; None where there is none."""
    rows = _rivals(results, row)
    best = best_rows(rows[rows["source"] != SAE].assign(all="all"), ["all"])
    return None if best.empty else best.iloc[0]


def _rivals(results: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """Results on the dataset of a row that read its model or, like the words alone, none; any where it reads none."""
    task = results[TASK] == row[TASK]
    same_model = results["model"].isin(["", row.model]) | (row.model == "")
    return results[task & same_model & (results["run"] != "")]
