"""Two-dimensional map of a result's test rows, from its features or from hidden states."""

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
    """A map. places: int64 [m], indices of the drawn test rows, ascending. xy: float64 [m, 2].

    explained: variance shares of the two PCA directions; None for UMAP.
    """

    places: np.ndarray
    xy: np.ndarray
    explained: tuple[float, float] | None


def methods() -> list[str]:
    """Projection methods installed on this machine."""
    return ["pca", "umap"] if find_spec("umap") else ["pca"]


def spaces(index: Index, result: OneResult) -> dict[str, str]:
    """Available inputs of the map: the result's features, and each layer's hidden states of the same rows."""
    found = {}
    if result.row.source in ("sae", "random_sae", "tfidf"):
        found[FEATURES] = (
            f"{ {'sae': 'SAE features', 'tfidf': 'TF-IDF'}.get(result.row.source, 'random SAE') } of this result"
        )
    for one in _hidden_sets(index, result):
        found[f"layer_{one.layer}"] = f"hidden states after layer {one.layer} (mean over positions)"
    return found


def default_space(result: OneResult, offered: dict[str, str]) -> str:
    """The result's features; for a result on hidden states, those of its layer."""
    own = f"layer_{result.row.layer}"
    return FEATURES if FEATURES in offered else own if own in offered else next(iter(offered), "")


def draw_map(index: Index, result: OneResult, rows: ResultRows, space: str, method: str) -> Map:
    """Compute the map, from a seeded sample of MOST_ROWS rows if there are more.

    Raises StoreError if the features are not stored, or there are too few rows.
    """
    samples = sample_folder(result)
    hidden = {f"layer_{one.layer}": one.folder for one in _hidden_sets(index, result)}
    folder = hidden.get(space)
    if folder is None and space != FEATURES:
        raise StoreError("These hidden states are not stored")
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
    """Compute the map. `written` (modification time) invalidates the cache when the features change."""
    from sklearn.preprocessing import normalize

    places = np.arange(len(rows))
    if len(rows) > MOST_ROWS:
        places = np.sort(np.random.default_rng(_SEED).choice(len(rows), MOST_ROWS, replace=False))
    drawn = [rows[place] for place in places]
    if len(drawn) < 3:
        raise StoreError("A map needs at least three rows")
    features = (
        features_of_rows(result, classifier, samples, drawn)
        if hidden is None
        else read_hidden_rows(hidden, drawn, "mean")
    )
    xy, explained = _project(normalize(features), method)
    return Map(places, xy, explained)


def _project(features: Any, method: str) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Project to float64 [n, 2]; with PCA also return the variance shares of both directions."""
    if method == "umap":
        mapped = importlib.import_module("umap").UMAP(n_components=2, random_state=_SEED)
        return np.asarray(mapped.fit_transform(features), dtype=np.float64), None
    from sklearn.decomposition import PCA

    if min(features.shape) < 3:
        raise StoreError("A map needs at least three features")
    pca = PCA(n_components=2, svd_solver="arpack", random_state=_SEED)
    xy = np.asarray(pca.fit_transform(features), dtype=np.float64)
    first, second = np.nan_to_num(pca.explained_variance_ratio_)
    return xy, (float(first), float(second))


def _hidden_sets(index: Index, result: OneResult) -> list[CodeSet]:
    """Hidden states of the split with the test rows, by layer."""
    try:
        samples = sample_folder(result)
    except StoreError:
        return []
    found = [one for one in index.code_sets.values() if one.is_hidden and one.samples == samples]
    return sorted(found, key=lambda one: one.layer)
