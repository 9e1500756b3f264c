"""What one classifies with each SAE on a dataset, and with the baselines."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from app.shared.data.one_result import sae_of
from app.shared.data.sae_quality import Measurement, main_measurement
from app.shared.data.saes import Sae
from app.shared.data.selection import SAE, TASK, best_rows
from app.shared.data.tree import Index
from app.shared.labels import SOURCES, short_model

_BASELINES = ("hidden", "tfidf", "pixels", "random_sae")


@dataclass(frozen=True)
class SaeScore:
    """The result that cross-validation chooses among those of one SAE on one dataset: a row of the index' table.

    measured: how well the SAE reconstructs.
    """

    sae: Sae
    row: pd.Series
    measured: Measurement


def scored_datasets(index: Index) -> list[str]:
    """The task of every dataset that an SAE was classified on, in the order of their names."""
    rows = index.results[_judged(index.results) & (index.results["source"] == SAE)]
    return sorted(set(rows[TASK]))


def sae_scores(index: Index, dataset: str) -> list[SaeScore]:
    """One per SAE that was classified on a dataset and whose quality was measured, the best first."""
    rows = _rows_of(index, dataset)
    best = best_rows(rows[rows["source"] == SAE], ["model", "layer", "width"])
    found = []
    for _, row in best.sort_values("cv_macro_f1", ascending=False, kind="stable").iterrows():
        sae = sae_of(index, row)
        measured = main_measurement(sae) if sae else None
        if sae and measured:
            found.append(SaeScore(sae, row, measured))
    return found


def baseline_scores(index: Index, dataset: str) -> list[tuple[str, float]]:
    """(what it is, CV macro-F1) of each baseline of a dataset; of each model where there are several."""
    rows = _rows_of(index, dataset)
    best = best_rows(rows[rows["source"].isin(_BASELINES)], ["source", "model"])
    several = best["model"].replace("", None).nunique() > 1
    return [
        (SOURCES[row.source] + (f" ({short_model(row.model)})" if several and row.model else ""), row.cv_macro_f1)
        for row in best.itertuples()
    ]


def _judged(results: pd.DataFrame) -> pd.Series:
    return (results["run"] != "") & results["cv_macro_f1"].notna()


def _rows_of(index: Index, dataset: str) -> pd.DataFrame:
    return index.results[_judged(index.results) & (index.results[TASK] == dataset)]
