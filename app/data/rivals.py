"""The best results of other sources on the same dataset: what a result is to be held against."""

from __future__ import annotations

import pandas as pd

from app.data.one_result import OneResult, find_result
from app.data.selection import SAE, best_rows
from app.data.tree import Index

_SOURCES = (SAE, "hidden", "tfidf")


def best_of_other_sources(index: Index, result: OneResult) -> list[OneResult]:
    """The results of `rows_of_other_sources`. Raises StoreError where a record cannot be read."""
    return [find_result(index, str(row.run), str(row.classifier)) for row in rows_of_other_sources(index, result)]


def rows_of_other_sources(index: Index, result: OneResult) -> list[pd.Series]:
    """Of SAE features, hidden states and TF-IDF, but for the result's own, what cross-validation chooses.

    Of the same model, where the result has one.
    """
    rows = index.results[index.results["run"] != ""]
    task = (rows[["dataset", "config", "split"]] == result.row[["dataset", "config", "split"]]).all(axis=1)
    same_model = rows["model"].isin(["", result.row.model]) | (result.row.model == "")
    others = rows[task & same_model & rows["source"].isin(_SOURCES) & (rows["source"] != result.row.source)]
    best = best_rows(others, ["source"])
    ordered = sorted(best.iterrows(), key=lambda item: _SOURCES.index(item[1].source))
    return [row for _, row in ordered]
