"""A flat map of a result's test rows: near rows are alike in what a classifier reads, or in the hidden states."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from app.engine import features_of_rows
from app.shared.data.codes import CodeSet
from app.shared.data.file_cache import written_ns
from app.shared.data.one_result import OneResult
from app.shared.data.samples.rows import ResultRows, sample_folder
from app.shared.data.tree import Index
from saefari.errors import StoreError
from saefari.store import read_hidden_rows
from saefari.store.layout import MANIFEST, RESULTS

MOST_ROWS = 2000
_SEED = 0
FEATURES = "features"
METHODS = {"pca": "PCA", "umap": "UMAP"}


@dataclass(frozen=True)
class Map:
    """places: int64 [m], which of the test rows are drawn, ascending. xy: float64 [m, 2].

    explained: of the two directions of a PCA, the share of the variance; None for UMAP.
    """

    places: np.ndarray
    xy: np.ndarray
    explained: tuple[float, float] | None


def methods() -> list[str]:
    """The ways of drawing that this machine has."""
    return ["pca", "umap"] if find_spec("umap") else ["pca"]


def spaces(index: Index, result: OneResult) -> dict[str, str]:
    """What the map may be made from: the result's own features, and each layer's hidden states of the same rows."""
    found = {}
    if result.row.source in ("sae", "random_sae", "tfidf"):
        found[FEATURES] = (
            f"{ {'sae': 'SAE features', 'tfidf': 'TF-IDF'}.get(result.row.source, 'random SAE') } of this result"
        )
    for one in _hidden_sets(index, result):
        found[f"layer_{one.layer}"] = f"hidden states after layer {one.layer} (mean over positions)"
    return found


def default_space(result: OneResult, offered: dict[str, str]) -> str:
    """The result's features; for one of hidden states, those of its layer."""
    own = f"layer_{result.row.layer}"
    return FEATURES if FEATURES in offered else own if own in offered else next(iter(offered), "")


def draw_map(index: Index, result: OneResult, rows: ResultRows, space: str, method: str) -> Map:
    """The map; of more than MOST_ROWS rows it draws some, the same ones every time.

    Raises StoreError where the features are not stored, or too few rows are there.
    """
    samples = sample_folder(result)
    hidden = {f"layer_{one.layer}": one.folder for one in _hidden_sets(index, result)}
    folder = hidden.get(space)
    if folder is None and space != FEATURES:
        raise StoreError("These hidden states are not stored (any more)")
    written = written_ns(result.folder / RESULTS if folder is None else folder / MANIFEST)
    return _draw(result.folder, result.classifier, samples, folder, tuple(rows.rows.tolist()), method, written)


@lru_cache(maxsize=32)
def _draw(
    result: Path,
    classifier: str,
    samples: Path,
    hidden: Path | None,
    rows: tuple[int, ...],
    method: str,
    written: int,
) -> Map:
    """`written`, when the features were made, is only there to tell older ones apart."""
    from sklearn.preprocessing import normalize

    places = np.arange(len(rows))
    if len(rows) > MOST_ROWS:
        places = np.sort(np.random.default_rng(_SEED).choice(len(rows), MOST_ROWS, replace=False))
    drawn = [rows[place] for place in places]
    if len(drawn) < 3:
        raise StoreError("A map needs three rows at least")
    features = (
        features_of_rows(result, classifier, samples, drawn)
        if hidden is None
        else read_hidden_rows(hidden, drawn, "mean")
    )
    xy, explained = _flat(normalize(features), method)
    return Map(places, xy, explained)


def _flat(features: Any, method: str) -> tuple[np.ndarray, tuple[float, float] | None]:
    """float64 [n, 2]; and the share of the variance that two directions of a PCA explain."""
    if method == "umap":
        mapped = importlib.import_module("umap").UMAP(n_components=2, random_state=_SEED)
        return np.asarray(mapped.fit_transform(features), dtype=np.float64), None
    from sklearn.decomposition import PCA

    if min(features.shape) < 3:
        raise StoreError("A map needs three features at least")
    pca = PCA(n_components=2, svd_solver="arpack", random_state=_SEED)
    xy = np.asarray(pca.fit_transform(features), dtype=np.float64)
    first, second = np.nan_to_num(pca.explained_variance_ratio_)
    return xy, (float(first), float(second))


def _hidden_sets(index: Index, result: OneResult) -> list[CodeSet]:
    """Hidden states of the split that holds the test rows, by layer."""
    try:
        samples = sample_folder(result)
    except StoreError:
        return []
    found = [one for one in index.code_sets.values() if one.is_hidden and one.samples == samples]
    return sorted(found, key=lambda one: one.layer)
