"""Which rows of one run the classifiers of another are tested on: none that they were trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from saefari.classify.task import TEST, TRAIN
from saefari.data.splits import text_key
from saefari.errors import DataError
from saefari.store import has_images, read_samples, read_samples_record, read_split

Rows = Literal["test", "all"]


@dataclass(frozen=True)
class TestedRows:
    """The rows of a stored split that are tested on, n of them.

    places: int64 [n], where they stand in the split's files. row, id: their numbers and names in the dataset.
    texts: [n]. classes: int64 [n], indices into the training run's classes.
    trained_on: rows left out because the training run was trained on them; unmapped: because their class is.
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
    """What a run was trained on. keys: of every training row, see `_keys`. majority: its most frequent class."""

    keys: frozenset[Hashable]
    majority: str


def training_rows(folders: Sequence[Path], classes: Sequence[str]) -> TrainingRows:
    """The training rows of a run's stored splits; of equally frequent classes the first by name is the majority."""
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
    """Every class that a row of the stored splits has, be it trained or tested on."""
    return {
        label
        for folder in folders
        for label in read_samples(folder, ["label"])["label"].unique().to_pylist()
        if label is not None
    }


def tested_rows(
    folder: Path, which: Rows, meant: Mapping[str, str | None], classes: Sequence[str], training: TrainingRows
) -> TestedRows:
    """The rows of a stored split to test on.

    which: `test`, the rows that its own run would test on, or `all` that have a label and are in the split.
    meant: label -> one of `classes`, or None = left out. Raises DataError where no row is left.
    """
    parts = read_split(folder)
    wanted = parts == TEST if which == "test" else parts >= 0
    number = {name: i for i, name in enumerate(classes)}
    kept: list[tuple[int, dict[str, Any], int]] = []
    trained_on = unmapped = 0
    for place, (row, keys) in enumerate(zip(_rows(folder), _keys(folder), strict=True)):
        if not wanted[place]:
            continue
        name = meant[row["label"]]
        if keys & training.keys:
            trained_on += 1
        elif name is None:
            unmapped += 1
        else:
            kept.append((place, row, number[name]))
    if not kept:
        raise DataError(_nothing_left(folder, which, int(wanted.sum()), trained_on, unmapped))
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
    """What a row shares with those it may not be tested with, of every row: its number and group within the same data,
    and its content: the picture where there is one (a prompt repeats under every picture), else the text.
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


def _nothing_left(folder: Path, which: Rows, n_wanted: int, trained_on: int, unmapped: int) -> str:
    if n_wanted == 0:
        way_out = "; --rows all tests on every row" if which == "test" else ""
        return f"{folder} has no {'test ' if which == 'test' else ''}row with a label{way_out}"
    return (
        f"{folder}: no row is left to test on: of {n_wanted}, the training run was trained on {trained_on}, and "
        f"the classes of {unmapped} are mapped to null"
    )
