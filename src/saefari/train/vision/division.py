"""Which rows a vision model learns from, which choose its best epoch, and which it must never see before the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from saefari.data.splits import EXCLUDED, TEST, TRAIN, separate_test, split_rows
from saefari.errors import DataError
from saefari.fingerprint import fingerprint
from saefari.train.vision.decoded_images import Pictures

UNKNOWN = -1
"""Class of a test image whose label no training row has: always classified wrongly."""
_VALIDATION = 2
_PARTS = {TRAIN: "train", _VALIDATION: "validation", TEST: "test", EXCLUDED: "excluded"}


@dataclass(frozen=True)
class Part:
    """Images to learn from or to measure on. rows: int64 [n], into `views`; targets: int64 [n], their classes."""

    views: np.ndarray
    rows: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Division:
    """A dataset divided. table: split, row, part and pixels of every row. warnings: what was left out."""

    classes: list[str]
    train: Part
    validation: Part
    test: Part
    table: pa.Table
    warnings: list[str]

    @property
    def digest(self) -> str:
        """Of the pictures that train or validate."""
        used = [part in ("train", "validation") for part in self.table["part"].to_pylist()]
        return fingerprint(sorted(self.table.filter(pa.array(used))["pixels"].to_pylist()))


def divide(
    pictures: Pictures, test: Pictures | None, test_size: float, validation: float, seed: int, name: str
) -> Division:
    """Divide as extraction does, so that its test rows are this model's too, and validation rows off the training rows.

    test: images of the dataset's own test split, if it has one. Raises DataError where too few rows are left.
    """
    parts, test_parts = _parts(pictures, test, test_size, seed)
    training = np.flatnonzero(parts == TRAIN)
    if not len(training):
        raise DataError(f"{name}: no training row has both an image and a label")
    parts[training[_split(pictures, training, validation, seed) == TEST]] = _VALIDATION
    labels = pictures.column("label")
    classes = sorted({labels[row] for row in training})
    if len(classes) < 2:
        raise DataError(f"{name}: all training images have the label {classes[0]!r}: there is nothing to learn")
    held_out = _part(pictures, parts == TEST, classes) if test is None else _part(test, test_parts == TEST, classes)
    split_tables = [_table(pictures, parts, "split")] + ([_table(test, test_parts, "test_split")] if test else [])
    return Division(
        classes,
        _part(pictures, parts == TRAIN, classes),
        _part(pictures, parts == _VALIDATION, classes),
        held_out,
        pa.concat_tables(split_tables),
        _left_out(name, parts, held_out),
    )


def _parts(pictures: Pictures, test: Pictures | None, test_size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The side of each row of the training split, and of the test split (empty where there is none)."""
    labels = _labels(pictures)
    if test is None:
        return split_rows(labels, _keys(pictures), pictures.column("group"), test_size, seed), np.zeros(0, np.int8)
    parts = np.asarray([EXCLUDED if label is None else TRAIN for label in labels], dtype=np.int8)
    test_parts = np.asarray([EXCLUDED if label is None else TEST for label in _labels(test)], dtype=np.int8)
    shared = separate_test(_keys(pictures), pictures.column("group"), _keys(test), test.column("group"))
    parts[shared] = EXCLUDED
    return parts, test_parts


def _split(pictures: Pictures, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A stratified split of some rows, with equal pictures and groups on one side."""
    labels, groups = _labels(pictures), pictures.column("group")
    keys = _keys(pictures)[rows]
    return split_rows([labels[row] for row in rows], keys, [groups[row] for row in rows], share, seed)


def _labels(pictures: Pictures) -> list[str | None]:
    """A row without a picture counts as one without a label."""
    pairs = zip(pictures.column("label"), pictures.column("pixels"), strict=True)
    return [None if pixels is None else label for label, pixels in pairs]


def _keys(pictures: Pictures) -> np.ndarray:
    """uint64 [n]: equal for equal pictures."""
    return np.asarray([int(digest[:16], 16) if digest else 0 for digest in pictures.column("pixels")], dtype=np.uint64)


def _part(pictures: Pictures, chosen: np.ndarray, classes: Sequence[str]) -> Part:
    number = {label: i for i, label in enumerate(classes)}
    labels, rows = pictures.column("label"), np.flatnonzero(chosen)
    return Part(pictures.views, rows, np.asarray([number.get(labels[row], UNKNOWN) for row in rows], dtype=np.int64))


def _table(pictures: Pictures, parts: np.ndarray, split: str) -> pa.Table:
    columns = {"split": [split] * len(parts), "row": pictures.table["row"]}
    return pa.table(columns | {"part": [_PARTS[part] for part in parts.tolist()], "pixels": pictures.table["pixels"]})


def _left_out(name: str, parts: np.ndarray, held_out: Part) -> list[str]:
    excluded, unknown = int((parts == EXCLUDED).sum()), int((held_out.targets == UNKNOWN).sum())
    found = [f"{excluded} rows left out: no image, no label, or shared with a test row"] if excluded else []
    found += [f"{unknown} test images have a label that no training image has"] if unknown else []
    return [f"{name}: {warning}" for warning in found]
