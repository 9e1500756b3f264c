"""The test rows of a result: predictions, filters, and one row's text, image and codes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.shared.data.file_cache import written_ns
from app.shared.data.images.picture import Picture, image_columns, shows_images, stored_picture
from app.shared.data.images.served import view_address
from app.shared.data.one_result import OneResult
from app.shared.data.tree import tree
from saefari.errors import StoreError
from saefari.store import read_codes_rows, read_predictions, read_sample_rows
from saefari.store.layout import PREDICTIONS, SAMPLES

if TYPE_CHECKING:
    from scipy import sparse

UNSURE = 0.1
"""A row is unsure if its two largest probabilities differ by less."""
KINDS = {
    "all": "all rows",
    "right": "correct",
    "wrong": "wrong",
    "confident": "confident",
    "confidently-wrong": "confident and wrong",
    "unsure": "unsure",
}


@dataclass(frozen=True)
class ResultRows:
    """n test rows of a result with K classes.

    rows: int64 [n], row numbers of the dataset. ids, texts: object [n], strings; "" for a row without text.
    labels, predicted: int64 [n], indices into classes. probabilities: float32 [n, K].
    without_texts: why there are no texts, else "".
    images: object [n], names of the rows' images, "" without one. views: URL prefix of the images, "" without images.
    """

    rows: np.ndarray
    ids: np.ndarray
    texts: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    classes: list[str]
    without_texts: str
    images: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=object))
    views: str = ""

    @property
    def names(self) -> np.ndarray:
        """object [n]: each row's text or, without text, its image's name."""
        return np.where(self.texts == "", self.images, self.texts) if self.views else self.texts

    @property
    def right(self) -> np.ndarray:
        """bool [n]."""
        right: np.ndarray = self.labels == self.predicted
        return right

    @property
    def confidence(self) -> np.ndarray:
        """[n]: the probability of the predicted class."""
        confidence: np.ndarray = self.probabilities[np.arange(len(self.rows)), self.predicted]
        return confidence

    def place(self, row: int) -> int | None:
        """Index of a dataset row among the test rows, or None."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None


@dataclass(frozen=True)
class Filters:
    """Filters of the test rows. shown: a key of KINDS. sure: minimum probability of a confident row.

    true_class, predicted_class: a class's name, or "" for all. search: part of the text or image name, or the full id.
    """

    shown: str = "all"
    sure: float = 0.8
    true_class: str = ""
    predicted_class: str = ""
    search: str = ""


@dataclass(frozen=True)
class Sample:
    """One row as the model read it.

    text: None without a text. spans: int64 [n_positions, 2], the characters of each valid position.
    codes: [n_positions, d_sae]; None for results without an SAE. problem: why there are no codes, else "".
    picture: None without an image.
    """

    text: str | None
    spans: np.ndarray
    codes: sparse.csr_array | None
    problem: str = ""
    picture: Picture | None = None

    @property
    def kind(self) -> str:
        """The noun for the row: text, image, or image and its text."""
        if self.picture is None:
            return "text"
        return "image and its text" if self.text else "image"

    @property
    def noun(self) -> str:
        """The noun for the row in a sentence: text or image."""
        return "text" if self.picture is None else "image"


def sample_folder(result: OneResult) -> Path:
    """Folder of the stored split with a result's test rows. Raises StoreError if the result does not record it."""
    places = result.record.get("samples")
    if not isinstance(places, list) or not places:
        raise StoreError(
            "This result does not record where its rows are stored (it was imported, or written by an older version). "
            "Run `python run_experiments.py --classify-only` to compute it again"
        )
    return tree().layout.activations / str(places[-1])


def find_rows(result: OneResult) -> ResultRows:
    """Read a result's test rows, with texts if they are stored. Raises StoreError without predictions."""
    try:
        samples, problem = sample_folder(result), ""
    except StoreError as error:
        samples, problem = None, str(error)
    times = [written_ns(result.folder / PREDICTIONS), 0 if samples is None else written_ns(samples / SAMPLES)]
    return _find_rows(result.folder, result.classifier, tuple(result.classes), samples, problem, tuple(times))


def matching(rows: ResultRows, filters: Filters) -> np.ndarray:
    """Ascending indices of the rows that pass the filters, int64 [m]."""
    kept = _of_kind(rows, filters)
    for name, classes in ((filters.true_class, rows.labels), (filters.predicted_class, rows.predicted)):
        if name in rows.classes:
            kept &= classes == rows.classes.index(name)
    wanted = filters.search.strip().lower()
    if wanted:
        names = [rows.texts, rows.images] if rows.views else [rows.texts]
        found = [
            wanted == row_id or any(wanted in text.lower() for text in texts)
            for row_id, *texts in zip(rows.ids, *names, strict=True)
        ]
        kept &= np.asarray(found, dtype=bool)
    places: np.ndarray = np.flatnonzero(kept)
    return places


def runner_up(probabilities: np.ndarray, label: int) -> int:
    """Index of the true class or, if that was predicted, of the second most probable class."""
    order = np.argsort(-probabilities, kind="stable")
    return int(order[1]) if label == order[0] else label


def find_sample(result: OneResult, row: int) -> Sample:
    """Read text, image and codes of a row. Raises StoreError if the row is not stored."""
    folder = sample_folder(result)
    stored = read_sample_rows(folder, [row], ["text", "span_start", "span_end", *image_columns(folder)]).to_pylist()[0]
    spans = np.column_stack([stored["span_start"] or [], stored["span_end"] or []]).astype(np.int64).reshape(-1, 2)
    sample = Sample(stored["text"], spans, None, picture=stored_picture(folder, row, stored))
    place = result.record.get("features")
    if not place or not str(result.row.source).endswith("sae"):
        return sample
    try:
        codes = read_codes_rows(folder / str(place), [row]).to_csr()
    except StoreError as error:
        return replace(sample, problem=str(error))
    if codes.shape[0] != len(spans):
        return replace(
            sample, problem=f"The codes of this row were computed from another {sample.kind} than the stored one."
        )
    return replace(sample, codes=codes)


def _of_kind(rows: ResultRows, filters: Filters) -> np.ndarray:
    """bool [n]: rows of the kind that the filters show."""
    sure = rows.confidence >= filters.sure
    if filters.shown == "unsure":
        best = np.sort(rows.probabilities, axis=1)
        nearly: np.ndarray = best[:, -1] - best[:, -2] < UNSURE
        return nearly
    kinds = {"right": rows.right, "wrong": ~rows.right, "confident": sure, "confidently-wrong": sure & ~rows.right}
    kept: np.ndarray = kinds.get(filters.shown, np.ones(len(rows.rows), dtype=bool)).copy()
    return kept


@lru_cache(maxsize=8)
def _find_rows(
    folder: Path, classifier: str, classes: tuple[str, ...], samples: Path | None, problem: str, times: tuple[int, ...]
) -> ResultRows:
    """Read test rows. `times` (modification times) invalidate the cache when files change."""
    found = read_predictions(folder, classifier)
    if tuple(found.classes) != classes:
        raise StoreError(f"{folder / PREDICTIONS} has other classes than the result; run the classification again")
    number = {name: i for i, name in enumerate(classes)}
    try:
        labels, predicted = ([number[name] for name in names] for names in (found.labels, found.predicted))
    except KeyError as error:
        raise StoreError(f"{folder / PREDICTIONS} has a class that the result does not have: {error}") from None
    texts, images = ([""] * len(found.rows) for _ in range(2))
    views = ""
    if samples is not None and len(found.rows):
        views = view_address(samples) if shows_images(samples) else ""
        try:
            stored = read_sample_rows(samples, found.rows.tolist(), ["text", *(["image"] if views else [])])
            texts = [text or "" for text in stored["text"].to_pylist()]
            images = [name or "" for name in stored["image"].to_pylist()] if views else images
        except StoreError as error:
            problem = str(error)
    return ResultRows(
        found.rows,
        found.ids,
        np.asarray(texts, dtype=object),
        np.asarray(labels, dtype=np.int64),
        np.asarray(predicted, dtype=np.int64),
        found.probabilities,
        list(classes),
        problem,
        np.asarray(images, dtype=object),
        views,
    )
