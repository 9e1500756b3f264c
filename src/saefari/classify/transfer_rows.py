"""Select the rows on which classifiers of another run are tested, excluding rows that they were trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from saefari.data.splits import TEST, TRAIN, text_key
from saefari.errors import DataError
from saefari.store import has_images, read_samples, read_samples_record, read_split

Rows = Literal["test", "all"]


@dataclass(frozen=True)
class TestedRows:
    """The n rows of a stored split that are tested on.

    places: int64 [n], their indices in the stored split. row, id: their numbers and ids in the dataset.
    texts: [n]. classes: int64 [n], indices into the training run's classes.
    trained_on: number of rows left out because the training run was trained on them; unmapped: because their label
    maps to no class.
    """

    places: np.ndarray
    row: np.ndarray
    id: list[str]
    texts: list[str]
    classes: np.ndarray
    trained_on: int
    unmapped: int


@dataclass(frozen=True)
class TrainingRows:
    """Training rows of a run. keys: of every row, see `_keys`. majority: its most frequent class."""

    keys: frozenset[Hashable]
    majority: str


def training_rows(folders: Sequence[Path], classes: Sequence[str]) -> TrainingRows:
    """Read the training rows of a run's stored splits; the majority among equals is the first by name."""
    keys: set[Hashable] = set()
    counts: Counter[str] = Counter()
    for folder in folders:
        training = read_split(folder) == TRAIN
        for is_training, row, found in zip(training, _rows(folder), _keys(folder), strict=True):
            if is_training:
                keys |= found
                counts[row["label"]] += 1
    majority = max(sorted(classes), key=lambda name: counts[name])
    return TrainingRows(frozenset(keys), majority)


def labels_of(folders: Sequence[Path]) -> set[str]:
    """Return every label in the stored splits."""
    return {
        label
        for folder in folders
        for label in read_samples(folder, ["label"])["label"].unique().to_pylist()
        if label is not None
    }


def tested_rows(
    folder: Path, which: Rows, class_of_label: Mapping[str, str | None], classes: Sequence[str], training: TrainingRows
) -> TestedRows:
    """Select the rows of a stored split to test on.

    which: `test` = its own test rows, `all` = every row in the split with a label.
    class_of_label: label -> one of `classes`, or None = left out. Raises DataError if no row remains.
    """
    parts = read_split(folder)
    wanted = parts == TEST if which == "test" else parts >= 0
    number = {name: i for i, name in enumerate(classes)}
    kept: list[tuple[int, dict[str, Any], int]] = []
    trained_on = unmapped = 0
    for place, (row, keys) in enumerate(zip(_rows(folder), _keys(folder), strict=True)):
        if not wanted[place]:
            continue
        name = class_of_label[row["label"]]
        if keys & training.keys:
            trained_on += 1
        elif name is None:
            unmapped += 1
        else:
            kept.append((place, row, number[name]))
    if not kept:
        raise DataError(_no_rows_message(folder, which, int(wanted.sum()), trained_on, unmapped))
    return TestedRows(
        places=np.asarray([place for place, _, _ in kept], dtype=np.int64),
        row=np.asarray([row["row"] for _, row, _ in kept], dtype=np.int64),
        id=[row["id"] for _, row, _ in kept],
        texts=[row["text"] or "" for _, row, _ in kept],
        classes=np.asarray([k for _, _, k in kept], dtype=np.int64),
        trained_on=trained_on,
        unmapped=unmapped,
    )


def _rows(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_samples(folder, ["row", "id", "text", "label"]).to_pylist()
    return rows


def _keys(folder: Path) -> Iterator[set[Hashable]]:
    """Yield, per row, the keys by which it counts as the same as a training row.

    These are its row number and group within the same data, and its content: the image if there is one (prompts repeat
    between images), else the text.
    """
    settings = (read_samples_record(folder) or {}).get("settings", {})
    data = settings.get("table", settings.get("fingerprint"))
    pixels = ["pixels"] if has_images(folder) else []
    for row in read_samples(folder, ["row", "text", "group", *pixels]).to_pylist():
        keys: set[Hashable] = set()
        if row.get("pixels"):
            keys.add(("pixels", row["pixels"]))
        elif row["text"] is not None:
            keys.add(("text", text_key(row["text"])))
        if data is not None:
            keys.add(("row", data, row["row"]))
        if data is not None and row["group"] is not None:
            keys.add(("group", data, row["group"]))
        yield keys


def _no_rows_message(folder: Path, which: Rows, n_wanted: int, trained_on: int, unmapped: int) -> str:
    if n_wanted == 0:
        hint = "; use --rows all to test on every row" if which == "test" else ""
        return f"{folder} has no {'test ' if which == 'test' else ''}row with a label{hint}"
    return (
        f"{folder}: no row remains to test on: of {n_wanted}, the training run was trained on {trained_on}, and "
        f"the labels of {unmapped} map to null"
    )
