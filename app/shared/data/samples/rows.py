"""The test rows of a result: what was predicted, which of them are asked for, and one row's text and codes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.shared.data.images.picture import Picture, image_columns, shows_images, stored_picture
from app.shared.data.images.served import view_address
from app.shared.data.memory import written_ns
from app.shared.data.one_result import OneResult
from app.shared.data.tree import tree
from saefari.errors import StoreError
from saefari.store import read_codes_rows, read_predictions, read_sample_rows
from saefari.store.layout import PREDICTIONS, SAMPLES

if TYPE_CHECKING:
    from scipy import sparse

UNSURE = 0.1
"""Two probabilities closer than this are nearly equal."""
KINDS = {
    "all": "all rows",
    "right": "right",
    "wrong": "wrong",
    "confident": "confident",
    "confidently-wrong": "confident and wrong",
    "unsure": "unsure",
}


@dataclass(frozen=True)
class ResultRows:
    """n test rows of a result with K classes.

    rows: int64 [n], their numbers in the dataset. ids, texts: object [n], text; a row without text has "".
    labels, predicted: int64 [n], indices into classes. probabilities: float32 [n, K].
    without_texts: why there are no texts, else "".
    images: object [n], what the dataset calls each row's image, "" where it has none. views: the address that their
    numbers go behind, "" where the split has no images.
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
        """object [n]: what stands for each row in a line, its text or, where it has none, its image's name."""
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
        """Where a dataset row stands among these, or None."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None


@dataclass(frozen=True)
class Filters:
    """What is asked for. shown: a key of KINDS; sure: a probability from which on a row counts as confident.

    true_class, predicted_class: a class's name or "" for all. search: part of the text or of the image's name, or the
    whole id.
    """

    shown: str = "all"
    sure: float = 0.8
    true_class: str = ""
    predicted_class: str = ""
    search: str = ""


@dataclass(frozen=True)
class Sample:
    """One row as the model read it.

    text: None where the row has none. spans: int64 [n_positions, 2], the characters of each position that counts.
    codes: [n_positions, d_sae]; None for results without an SAE. problem: why there are no codes, else "".
    picture: None where the row has no image.
    """

    text: str | None
    spans: np.ndarray
    codes: sparse.csr_array | None
    problem: str = ""
    picture: Picture | None = None

    @property
    def kind(self) -> str:
        """What the pages call the row: a text, an image, or an image and its text."""
        if self.picture is None:
            return "text"
        return "image and its text" if self.text else "image"


def sample_folder(result: OneResult) -> Path:
    """The stored split that holds the test rows of a result. Raises StoreError where the result does not say."""
    places = result.record.get("samples")
    if not isinstance(places, list) or not places:
        raise StoreError(
            "This result does not say where its rows are stored (an older version wrote it, or it was imported): "
            "`python run_experiments.py --classify-only` makes it again"
        )
    return tree().layout.activations / str(places[-1])


def find_rows(result: OneResult) -> ResultRows:
    """The test rows with the texts, where those are stored. Raises StoreError where there are no predictions."""
    try:
        samples, problem = sample_folder(result), ""
    except StoreError as error:
        samples, problem = None, str(error)
    times = [written_ns(result.folder / PREDICTIONS), 0 if samples is None else written_ns(samples / SAMPLES)]
    return _find_rows(result.folder, result.classifier, tuple(result.classes), samples, problem, tuple(times))


def matching(rows: ResultRows, filters: Filters) -> np.ndarray:
    """Ascending places of the rows that are asked for, int64 [m]."""
    kept = _kind(rows, filters)
    for name, classes in ((filters.true_class, rows.labels), (filters.predicted_class, rows.predicted)):
        if name in rows.classes:
            kept &= classes == rows.classes.index(name)
    wanted = filters.search.strip().lower()
    if wanted:
        names = [rows.texts, rows.images] if rows.views else [rows.texts]
        found = [
            wanted == one or any(wanted in name.lower() for name in said)
            for one, *said in zip(rows.ids, *names, strict=True)
        ]
        kept &= np.asarray(found, dtype=bool)
    places: np.ndarray = np.flatnonzero(kept)
    return places


def runner_up(probabilities: np.ndarray, label: int) -> int:
    """The class to hold against the predicted one: the true one, or, where that is predicted, the second best."""
    order = np.argsort(-probabilities, kind="stable")
    return int(order[1]) if label == order[0] else label


def find_sample(result: OneResult, row: int) -> Sample:
    """Text, image and codes of a row. Raises StoreError where the row is not stored."""
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
        return replace(sample, problem=f"The codes of this row were made from another {sample.kind} than is stored.")
    return replace(sample, codes=codes)


def _kind(rows: ResultRows, filters: Filters) -> np.ndarray:
    """bool [n]."""
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
    """`times`, when the files were written, are only there to tell older contents apart."""
    found = read_predictions(folder, classifier)
    if tuple(found.classes) != classes:
        raise StoreError(f"{folder / PREDICTIONS} holds other classes than the result: run the classification again")
    number = {name: i for i, name in enumerate(classes)}
    try:
        labels, predicted = ([number[name] for name in names] for names in (found.labels, found.predicted))
    except KeyError as error:
        raise StoreError(f"{folder / PREDICTIONS} holds a class that the result does not know: {error}") from None
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
