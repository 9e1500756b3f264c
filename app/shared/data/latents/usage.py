"""Probes and trees that use a latent, from the top features that each result of its SAE records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app.shared.data.file_cache import written_ns
from app.shared.data.results import read_record
from app.shared.data.saes import Sae
from app.shared.data.selection import best_first
from app.shared.data.tree import Index
from saefari.errors import StoreError
from saefari.store.layout import RESULTS

MOST_RESULTS = 300
"""Number of results that are read: those with the highest cross-validation score."""
COLUMNS = ["run", "classifier", "class", "kind", "amount", "rank", "splits"]


@dataclass(frozen=True)
class Usage:
    """Uses of one latent. table: COLUMNS, one row per result, classifier and class, best rank first.

    kind: meaning of `amount`, weight (probe, per class) or importance (tree; NaN if not among the recorded features).
    splits: tree nodes that split on the latent. n_read of n_results results were read.
    """

    table: pd.DataFrame
    n_read: int
    n_results: int


@dataclass(frozen=True)
class _Reads:
    """Latents that one classifier of one result uses. latents: int32. class_codes: int16, -1 for all classes."""

    classifier: str
    kind: str
    classes: tuple[str, ...]
    latents: np.ndarray
    class_codes: np.ndarray
    amounts: np.ndarray
    ranks: np.ndarray
    splits: np.ndarray


def results_of(sae: Sae, index: Index) -> pd.DataFrame:
    """Results on this SAE's codes, best by cross-validation first, without classifiers trained in another run."""
    rows = index.results[(index.results["run"] != "") & (index.results["trained_on"] == "")]
    own = rows["folder"].str.startswith(f"{sae.model}/") & rows["folder"].str.contains(
        f"/layer_{sae.layer}/{sae.width}/", regex=False
    )
    return best_first(rows[own])


def usage(sae: Sae, latent: int, index: Index) -> Usage:
    """Find every recorded use of one latent."""
    reads, n_results = _reads_of(sae, index)
    rows: list[dict[str, Any]] = []
    for run, found in reads:
        for one in found:
            for i in np.flatnonzero(one.latents == latent).tolist():
                code = int(one.class_codes[i])
                rows.append(
                    {
                        "run": run,
                        "classifier": one.classifier,
                        "class": one.classes[code] if code >= 0 else "",
                        "kind": one.kind,
                        "amount": float(one.amounts[i]),
                        "rank": int(one.ranks[i]),
                        "splits": int(one.splits[i]),
                    }
                )
    table = pd.DataFrame(rows, columns=COLUMNS).sort_values("rank", kind="stable", ignore_index=True)
    return Usage(table, len(reads), n_results)


def times_used(sae: Sae, d_sae: int, index: Index) -> np.ndarray:
    """int64 [d_sae]: number of results that use each latent, of those read."""
    counts = np.zeros(d_sae, dtype=np.int64)
    for _, found in _reads_of(sae, index)[0]:
        latents = np.unique(np.concatenate([np.zeros(0, np.int32), *(one.latents for one in found)]))
        counts[latents[(latents >= 0) & (latents < d_sae)]] += 1
    return counts


def _reads_of(sae: Sae, index: Index) -> tuple[list[tuple[str, tuple[_Reads, ...]]], int]:
    """(run, latents that its classifiers use) of every readable result; and the number of results."""
    runs = list(dict.fromkeys(results_of(sae, index)["run"]))
    found = []
    for run in runs[:MOST_RESULTS]:
        folder = index.folders[run]
        try:
            found.append((run, _reads(folder, written_ns(folder / RESULTS))))
        except (OSError, StoreError, KeyError, TypeError, ValueError, AttributeError):
            continue  # the page Health lists unreadable results
    return found, len(runs)


@lru_cache(maxsize=1024)
def _reads(folder: Path, changed: int) -> tuple[_Reads, ...]:
    record = read_record(folder)
    found = []
    for name, classifier in record["classifiers"].items():
        features = classifier.get("top_features")
        if isinstance(features, dict):
            found.append(_probe(name, features))
        elif isinstance(features, list):
            found.append(_tree(name, features, classifier.get("nodes") or []))
    return tuple(found)


def _probe(name: str, features: dict[str, list[dict[str, Any]]]) -> _Reads:
    rows = [
        (entry["feature"], code, entry["weight"], rank + 1)
        for code, entries in enumerate(features.values())
        for rank, entry in enumerate(entries)
    ]
    return _packed(name, "weight", tuple(features), [(*row, 0) for row in rows])


def _tree(name: str, features: list[dict[str, Any]], nodes: list[dict[str, Any]]) -> _Reads:
    split_on = [node["feature"] for node in nodes if "feature" in node]
    rows = [(one["feature"], -1, one["importance"], rank + 1) for rank, one in enumerate(features)]
    recorded = {row[0] for row in rows}
    rows += [(latent, -1, float("nan"), len(features) + 1) for latent in sorted(set(split_on) - recorded)]
    return _packed(name, "importance", (), [(*row, split_on.count(row[0])) for row in rows])


def _packed(name: str, kind: str, classes: tuple[str, ...], rows: list[tuple[Any, ...]]) -> _Reads:
    """Pack rows into arrays, which are cached for every result of the SAE."""
    types = (np.int32, np.int16, np.float32, np.int16, np.int16)
    columns = zip(*rows, strict=True) if rows else ((),) * len(types)
    return _Reads(name, kind, classes, *(np.array(column, kind) for column, kind in zip(columns, types, strict=True)))
