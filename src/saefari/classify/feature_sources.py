"""Feature matrices of each source, and the preprocessing steps of a saved estimator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import StandardScaler

from saefari.classify.features import (
    activation_ranks,
    binarize,
    pool_or_count,
    select_k,
    stack_rows,
)
from saefari.classify.fold_scaling import FoldScaling, Matrix, standardised, tfidf_weighted
from saefari.classify.pixels import read_pixels
from saefari.classify.settings import Setting
from saefari.classify.task import Task
from saefari.classify.terms import MIN_DF, Counter, count_terms, term_names
from saefari.errors import StoreError
from saefari.store import Manifest, iter_codes, read_pooled_hidden

Steps = list[tuple[str, Any]]


@dataclass(frozen=True)
class FeatureSet:
    """One feature matrix, and how a saved estimator builds it.

    matrix: [n_train, n_features], shared by folds. fit_scaling: training rows -> scaling fitted on them.
    train, test: input of the saved estimator (a matrix, or texts). first_steps: fitted; turn this input into features.
    scaled: whether the linear probe standardises the features. names: of TF-IDF features.
    chosen: choices about the features that are recorded in the result, JSON-able.
    """

    matrix: Matrix
    fit_scaling: Callable[[np.ndarray], FoldScaling]
    train: Any
    test: Any
    scaled: bool
    first_steps: Steps = field(default_factory=list)
    names: Sequence[str] | None = None
    chosen: dict[str, Any] = field(default_factory=dict)

    def linear_steps(self, columns: np.ndarray) -> Steps:
        """Pipeline steps of the linear probe: first_steps (fitted), then select columns and scale (unfitted)."""
        scaler = ("scale", StandardScaler(with_mean=isinstance(self.matrix, np.ndarray)))
        return [*self.first_steps, *([_keep(columns), scaler] if self.scaled else [])]

    def tree_steps(self, columns: np.ndarray) -> Steps:
        """Pipeline steps of the tree: first_steps (fitted), then select columns (unfitted)."""
        return [*self.first_steps, _keep(columns)]


def code_features(
    folders: Sequence[Path], settings: Sequence[Setting], task: Task
) -> Iterator[tuple[Setting, Callable[[], FeatureSet]]]:
    """Yield each setting with a function that builds its features; the codes are read once for all settings.

    Raises StoreError if the codes are incomplete or belong to other samples.
    """
    pooled = pool_folders(folders, settings)
    for matrix in pooled.values():
        check_rows(folders, matrix.shape[0], task.n_rows, task.samples)
    for setting in settings:
        yield setting, lambda s=setting: _code_set(pooled[s.pooling, s.top_n or 0], s, task)  # type: ignore[misc]


def hidden_features(folders: Sequence[Path], how: str, task: Task) -> FeatureSet:
    """Pooled hidden states, dense, unscaled."""
    hidden = np.concatenate([read_pooled_hidden(folder, how) for folder in folders])
    check_rows(folders, len(hidden), task.n_rows, task.samples)
    train, test = hidden[task.train], hidden[task.test]
    return FeatureSet(train, lambda rows: standardised(train, rows), train, test, scaled=True)


def pixel_features(folders: Sequence[Path], task: Task) -> FeatureSet:
    """Pixels of the images as the model reads them, dense; folders: of the samples."""
    pixels = read_pixels(folders)
    train, test = pixels[task.train], pixels[task.test]
    return FeatureSet(train, lambda rows: standardised(train, rows), train, test, scaled=True)


def term_features(task: Task) -> dict[str, FeatureSet]:
    """TF-IDF with sublinear counts, for each kind of terms that `count_terms` returns, words first.

    Terms and weights are fitted on training rows only.
    """
    return {name: _term_set(name, *counted, task) for name, counted in count_terms(task.train_texts).items()}


def _term_set(name: str, counter: Counter, counts: sparse.csr_array, task: Task) -> FeatureSet:
    weighting = TfidfTransformer(sublinear_tf=True).fit(counts)
    term_weights = sparse.csr_array((np.log(counts.data) + 1, counts.indices, counts.indptr), shape=counts.shape)
    return FeatureSet(
        term_weights,
        lambda rows: tfidf_weighted(term_weights, rows, MIN_DF),
        task.train_texts,
        task.test_texts,
        scaled=False,
        first_steps=[("count", counter), ("weight", weighting)],
        names=term_names(counter),
        chosen={"terms": name},
    )


def pool_folders(folders: Sequence[Path], settings: Sequence[Setting]) -> dict[tuple[str, int], sparse.csr_array]:
    """Return a matrix over all rows of the folders for each (pooling, top_n) of the settings; codes are read once.

    Raises StoreError if the codes are incomplete or altered.
    """
    wanted = list(dict.fromkeys((setting.pooling, setting.top_n or 0) for setting in settings))
    parts: dict[tuple[str, int], list[sparse.csr_array]] = {key: [] for key in wanted}
    smallest = min((top_n for _, top_n in wanted if top_n > 0), default=0)
    for folder in folders:
        for shard in iter_codes(folder):
            codes, offsets = shard.without_outliers()
            ranks = activation_ranks(codes, smallest) if smallest else None
            for how, top_n in wanted:
                parts[how, top_n].append(pool_or_count(codes, offsets, how, top_n, ranks))
    return {key: stack_rows(matrices) for key, matrices in parts.items()}


def _code_set(pooled: sparse.csr_array, setting: Setting, task: Task) -> FeatureSet:
    features = pooled if setting.binarize is None else binarize(pooled, setting.binarize)
    train, test = features[task.train], features[task.test]

    def fit_scaling(rows: np.ndarray) -> FoldScaling:
        chosen = None
        if setting.select_k is not None:
            chosen = select_k(train[rows], task.train_classes[rows], setting.select_k)
        return standardised(train, rows, chosen)

    return FeatureSet(train, fit_scaling, train, test, scaled=True)


def check_rows(folders: Sequence[Path], found: int, n_rows: int, samples: Sequence[str]) -> None:
    """Raise StoreError unless the features belong to the rows in samples.parquet.

    found: number of feature rows. n_rows: rows of all samples.parquet files. samples: their SHA-256, one per folder.
    """
    if found != n_rows:
        raise StoreError(f"features have {found} rows, samples.parquet has {n_rows}: run the extraction again")
    for folder, digest in zip(folders, samples, strict=True):
        manifest = Manifest.load(folder)
        if manifest is None or manifest.settings.get("samples") != digest:
            raise StoreError(
                f"{folder} was extracted from other rows than the current samples.parquet: run the extraction again"
            )


def _keep(columns: np.ndarray) -> tuple[str, ColumnTransformer]:
    return "keep", ColumnTransformer([("features", "passthrough", columns)], sparse_threshold=1.0)
