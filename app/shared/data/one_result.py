"""One result: a classifier of one setting, with its table row and its record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from app.shared.data.codes import CodeSet
from app.shared.data.file_cache import short_id
from app.shared.data.results import read_record
from app.shared.data.saes import Sae
from app.shared.data.selection import SAE, best_first, best_rows
from app.shared.data.tree import Index
from saefari.errors import StoreError

_WORDS = {"hidden": "dimension", "tfidf": "term", "pixels": "pixel"}


@dataclass(frozen=True)
class OneResult:
    """A result. row: of the results table. record: results.json. scores: the classifier's part of the record."""

    run: str
    classifier: str
    folder: Path
    row: pd.Series
    record: dict[str, Any]
    scores: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.record["classes"]]

    @property
    def word(self) -> str:
        """The noun for one of its features: latent, dimension, term or pixel."""
        return _WORDS.get(self.row.source, "latent")


def find_result(index: Index, run: str, classifier: str = "") -> OneResult:
    """Find the result with these ids; without a classifier, the run's best one by cross-validation.

    Raises StoreError if the index has no such result, or its record cannot be read or is not a result.
    """
    rows = index.results[index.results["run"] == run] if run else index.results[:0]
    if rows.empty:
        raise StoreError(f"There is no result with the id {run!r} in this output tree")
    if not classifier:
        classifier = str(best_first(rows)["classifier"].iloc[0])
    named = rows[rows["classifier"] == classifier]
    if named.empty:
        raise StoreError(f"This result has no classifier {classifier!r}; it has: {', '.join(rows['classifier'])}")
    folder = index.folders[run]
    record = read_record(folder)
    scores = record["classifiers"].get(classifier) if isinstance(record["classifiers"], dict) else None
    if not isinstance(scores, dict) or not isinstance(record["settings"], dict):
        raise StoreError(f"{folder} holds no scores of the classifier {classifier!r}")
    return OneResult(run, classifier, folder, named.iloc[0], record, scores)


def requested_result(index: Index, run: str, classifier: str) -> OneResult:
    """Find the result that a page's URL names, or the best one if it names none.

    Raises StoreError, with the way out, if there is none.
    """
    if not run:
        first = default_result(index.results)
        if first is None:
            raise StoreError("There are no results yet. The page Runs explains how to create them.")
        run, classifier = first
    try:
        return find_result(index, run, classifier)
    except StoreError as error:
        raise StoreError(f"{error}. The page Runs lists all results.") from None


def classifiers_of(index: Index, run: str) -> list[str]:
    """Names of a run's classifiers."""
    return sorted(index.results.loc[index.results["run"] == run, "classifier"])


def default_result(results: pd.DataFrame) -> tuple[str, str] | None:
    """(run, classifier) of the best SAE result by cross-validation; else of the best result; else of any."""
    there = results[results["run"] != ""]
    for rows in (there[there["source"] == SAE], there):
        best = best_rows(rows.assign(all="all"), ["all"])
        if not best.empty:
            return str(best["run"].iloc[0]), str(best["classifier"].iloc[0])
    return None if there.empty else (str(there["run"].iloc[0]), str(there["classifier"].iloc[0]))


def sae_of(index: Index, row: Any) -> Sae | None:
    """The SAE of a result's latents; None for other features, or if the tree does not know the SAE."""
    parts = str(row.folder).split("/")
    return index.saes.get(short_id("/".join([parts[0], *parts[-3:-1]]))) if row.width and len(parts) > 4 else None


def codes_of(sae: Sae, row: pd.Series) -> CodeSet | None:
    """The SAE's codes of the result's dataset; else any codes of the SAE."""
    dataset = "/".join(str(row.folder).split("/")[1:-3])
    if row.trained_on:  # the folder ends with the dataset that trained the classifier
        dataset = dataset.partition("/transfer/")[0]
    return next((one for one in sae.code_sets if one.dataset == dataset), next(iter(sae.code_sets), None))
