"""Division of a dataset into training, validation and test rows of a vision model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from saefari.data.splits import EXCLUDED, TEST, TRAIN, separate_test, split_rows
from saefari.errors import DataError
from saefari.fingerprint import fingerprint
from saefari.train.vision.decoded_images import DecodedImages

UNKNOWN = -1
"""Class of a test image whose label no training row has; it is always counted as wrong."""
_VALIDATION = 2
_PARTS = {TRAIN: "train", _VALIDATION: "validation", TEST: "test", EXCLUDED: "excluded"}


@dataclass(frozen=True)
class Part:
    """Images of one part. rows: int64 [n], indices into `views`; targets: int64 [n], their classes."""

    views: np.ndarray
    rows: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Division:
    """The parts of a dataset. table: split, row, part and pixels of every row. warnings: about excluded rows."""

    classes: list[str]
    train: Part
    validation: Part
    test: Part
    table: pa.Table
    warnings: list[str]

    @property
    def digest(self) -> str:
        """Digest of the training and validation images."""
        used = [part in ("train", "validation") for part in self.table["part"].to_pylist()]
        return fingerprint(sorted(self.table.filter(pa.array(used))["pixels"].to_pylist()))


def divide(
    images: DecodedImages, test: DecodedImages | None, test_size: float, validation: float, seed: int, name: str
) -> Division:
    """Divide rows as extraction does, so that test rows agree, and take validation rows from the training rows.

    test: images of the dataset's own test split, if it has one. Raises DataError if too few rows are left.
    """
    parts, test_parts = _parts(images, test, test_size, seed)
    training = np.flatnonzero(parts == TRAIN)
    if not len(training):
        raise DataError(f"{name}: no training row has both an image and a label")
    parts[training[_split(images, training, validation, seed) == TEST]] = _VALIDATION
    labels = images.column("label")
    classes = sorted({labels[row] for row in training})
    if len(classes) < 2:
        raise DataError(f"{name}: all training images have the label {classes[0]!r}: a classifier needs two or more")
    held_out = _part(images, parts == TEST, classes) if test is None else _part(test, test_parts == TEST, classes)
    split_tables = [_table(images, parts, "split")] + ([_table(test, test_parts, "test_split")] if test else [])
    return Division(
        classes,
        _part(images, parts == TRAIN, classes),
        _part(images, parts == _VALIDATION, classes),
        held_out,
        pa.concat_tables(split_tables),
        _warnings(name, parts, held_out),
    )


def _parts(
    images: DecodedImages, test: DecodedImages | None, test_size: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of each row of the training split and of the test split (empty if there is none)."""
    labels = _labels(images)
    if test is None:
        return split_rows(labels, _keys(images), images.column("group"), test_size, seed), np.zeros(0, np.int8)
    parts = np.asarray([EXCLUDED if label is None else TRAIN for label in labels], dtype=np.int8)
    test_parts = np.asarray([EXCLUDED if label is None else TEST for label in _labels(test)], dtype=np.int8)
    shared = separate_test(_keys(images), images.column("group"), _keys(test), test.column("group"))
    parts[shared] = EXCLUDED
    return parts, test_parts


def _split(images: DecodedImages, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Split rows with stratification; equal images and equal groups stay on one side."""
    labels, groups = _labels(images), images.column("group")
    keys = _keys(images)[rows]
    return split_rows([labels[row] for row in rows], keys, [groups[row] for row in rows], share, seed)


def _labels(images: DecodedImages) -> list[str | None]:
    """Return the labels; a row without an image is treated as unlabelled."""
    pairs = zip(images.column("label"), images.column("pixels"), strict=True)
    return [None if pixels is None else label for label, pixels in pairs]


def _keys(images: DecodedImages) -> np.ndarray:
    """Return uint64 [n], equal for equal images."""
    return np.asarray([int(digest[:16], 16) if digest else 0 for digest in images.column("pixels")], dtype=np.uint64)


def _part(images: DecodedImages, chosen: np.ndarray, classes: Sequence[str]) -> Part:
    number = {label: i for i, label in enumerate(classes)}
    labels, rows = images.column("label"), np.flatnonzero(chosen)
    return Part(images.views, rows, np.asarray([number.get(labels[row], UNKNOWN) for row in rows], dtype=np.int64))


def _table(images: DecodedImages, parts: np.ndarray, split: str) -> pa.Table:
    columns = {"split": [split] * len(parts), "row": images.table["row"]}
    return pa.table(columns | {"part": [_PARTS[part] for part in parts.tolist()], "pixels": images.table["pixels"]})


def _warnings(name: str, parts: np.ndarray, held_out: Part) -> list[str]:
    excluded, unknown = int((parts == EXCLUDED).sum()), int((held_out.targets == UNKNOWN).sum())
    warnings = [f"{excluded} rows left out: no image, no label, or shared with a test row"] if excluded else []
    warnings += [f"{unknown} test images have a label that no training image has"] if unknown else []
    return [f"{name}: {warning}" for warning in warnings]
