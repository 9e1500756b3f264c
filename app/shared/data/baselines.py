"""The best results of other feature sources on the same dataset, for comparison."""

from __future__ import annotations

import pandas as pd

from app.shared.data.one_result import OneResult, find_result
from app.shared.data.selection import SAE, TASK, best_rows
from app.shared.data.tree import Index

_SOURCES = (SAE, "hidden", "tfidf", "pixels")


def best_results_of_other_sources(index: Index, result: OneResult) -> list[OneResult]:
    """Read the results of `best_rows_of_other_sources`. Raises StoreError if a record cannot be read."""
    return [find_result(index, str(row.run), str(row.classifier)) for row in best_rows_of_other_sources(index, result)]


def best_rows_of_other_sources(index: Index, result: OneResult) -> list[pd.Series]:
    """Per source other than the result's own, the row with the best cross-validation score; of the same model, if any.

    Sources: SAE features, hidden states, TF-IDF, pixels.
    """
    rows = _comparable(index.results, result.row)
    others = rows[rows["source"].isin(_SOURCES) & (rows["source"] != result.row.source)]
    best = best_rows(others, ["source"])
    ordered = sorted(best.iterrows(), key=lambda item: _SOURCES.index(item[1].source))
    return [row for _, row in ordered]


def best_baseline(results: pd.DataFrame, row: pd.Series) -> pd.Series | None:
    """Return the baseline with the best cross-validation score on a result's dataset and model, or None."""
    rows = _comparable(results, row)
    best = best_rows(rows[rows["source"] != SAE].assign(all="all"), ["all"])
    return None if best.empty else best.iloc[0]


def _comparable(results: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """Results on the row's dataset, of the same model or without a model (TF-IDF); of any model if the row has none."""
    task = results[TASK] == row[TASK]
    same_model = results["model"].isin(["", row.model]) | (row.model == "")
    return results[task & same_model & (results["run"] != "")]
