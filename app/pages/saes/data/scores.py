"""Best classification scores per SAE and per baseline on one dataset."""

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
    """The best result of one SAE on one dataset by cross-validation. row: of the results table.

    measured: the SAE's main measurement of reconstruction.
    """

    sae: Sae
    row: pd.Series
    measured: Measurement


def scored_datasets(index: Index) -> list[str]:
    """Tasks with a cross-validated result of SAE features, sorted by name."""
    rows = index.results[_has_cv_score(index.results) & (index.results["source"] == SAE)]
    return sorted(set(rows[TASK]))


def sae_scores(index: Index, dataset: str) -> list[SaeScore]:
    """One score per SAE that has a result on the dataset and a measurement, best first."""
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
    """(name, CV macro-F1) of each baseline on the dataset; per model if there are several."""
    rows = _rows_of(index, dataset)
    best = best_rows(rows[rows["source"].isin(_BASELINES)], ["source", "model"])
    several = best["model"].replace("", None).nunique() > 1
    return [
        (SOURCES[row.source] + (f" ({short_model(row.model)})" if several and row.model else ""), row.cv_macro_f1)
        for row in best.itertuples()
    ]


def _has_cv_score(results: pd.DataFrame) -> pd.Series:
    return (results["run"] != "") & results["cv_macro_f1"].notna()


def _rows_of(index: Index, dataset: str) -> pd.DataFrame:
    return index.results[_has_cv_score(index.results) & (index.results[TASK] == dataset)]
