"""Paired comparison of two results by their predictions for the same test rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from app.shared.data.file_cache import written_ns
from saefari.errors import StoreError
from saefari.store import read_predictions
from saefari.store.layout import PREDICTIONS

_RESAMPLES = 2000
_LEVEL = (2.5, 97.5)
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Difference:
    """Macro-F1 of the first result minus that of the second, with a 95% interval, over n_rows common test rows."""

    value: float
    low: float
    high: float
    n_rows: int

    @property
    def verdict(self) -> str:
        """better, worse, or not clearly different if the interval holds 0."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not clearly different"


def paired_difference(first: tuple[Path, str], second: tuple[Path, str]) -> Difference | None:
    """Compare two results, each (folder, classifier), on the rows that both were tested on.

    The interval is a percentile bootstrap of the difference: rows are resampled together with both predictions, so
    that the variation that both share cancels. None without common rows. Raises StoreError without predictions.
    """
    written = tuple(written_ns(folder / PREDICTIONS) for folder, _ in (first, second))
    return _difference(first, second, written)


@lru_cache(maxsize=64)
def _difference(first: tuple[Path, str], second: tuple[Path, str], written: tuple[int, ...]) -> Difference | None:
    """`written` (modification times) invalidates the cache when the predictions change."""
    one, other = read_predictions(*first), read_predictions(*second)
    _, mine, theirs = np.intersect1d(one.rows, other.rows, assume_unique=True, return_indices=True)
    if not len(mine):
        return None
    labels = one.labels[mine]
    if (labels != other.labels[theirs]).any():
        raise StoreError("the two results have other labels for the same rows")
    named = np.concatenate([labels, one.predicted[mine], other.predicted[theirs]]).astype(str)
    names, numbers = np.unique(named, return_inverse=True)
    return bootstrap_difference(*numbers.reshape(3, -1), n_classes=len(names))


def bootstrap_difference(labels: np.ndarray, first: np.ndarray, second: np.ndarray, n_classes: int) -> Difference:
    """Compare two predictions of the same rows; labels, first, second: int [n], indices into classes.

    Rows with the same label and predictions are one cell; drawing rows with replacement is drawing the cells from a
    multinomial.
    """
    cells, counts = np.unique(np.stack([labels, first, second]), axis=1, return_counts=True)
    generator, n = np.random.default_rng(0), len(labels)
    at_once = max(1, _CELLS_AT_ONCE // len(counts))
    sizes = [min(at_once, _RESAMPLES - start) for start in range(0, _RESAMPLES, at_once)]
    draws = (generator.multinomial(n, counts / n, size=size) for size in sizes)
    differences = np.concatenate([_differences(cells, draw, n_classes) for draw in draws])
    low, high = np.percentile(differences, _LEVEL)
    return Difference(float(_differences(cells, counts[None], n_classes)[0]), float(low), float(high), n)


def _differences(cells: np.ndarray, counts: np.ndarray, n_classes: int) -> np.ndarray:
    """Difference of macro-F1 in each resample, float64 [n_resamples]. cells: int [3, n_cells]."""
    labels, first, second = cells
    return _macro_f1(labels, first, counts, n_classes) - _macro_f1(labels, second, counts, n_classes)


def _macro_f1(labels: np.ndarray, predicted: np.ndarray, counts: np.ndarray, n_classes: int) -> np.ndarray:
    """Macro-F1 of each resample, over the classes that occur as a label or a prediction, float64 [n_resamples].

    labels, predicted: int [n_cells]. counts: int [n_resamples, n_cells].
    """
    hits = _per_class(labels, counts * (labels == predicted), n_classes)
    involved = _per_class(labels, counts, n_classes) + _per_class(predicted, counts, n_classes)
    f1 = np.divide(2 * hits, involved, out=np.zeros(hits.shape), where=involved > 0)
    mean: np.ndarray = f1.sum(axis=1) / np.maximum(1, (involved > 0).sum(axis=1))
    return mean


def _per_class(classes: np.ndarray, counts: np.ndarray, n_classes: int) -> np.ndarray:
    """Sum the counts of the cells of each class, int64 [n_resamples, n_classes]."""
    members = np.zeros((len(classes), n_classes), dtype=np.float32)
    members[np.arange(len(classes)), classes] = 1
    summed: np.ndarray = counts.astype(np.float32) @ members
    return summed
