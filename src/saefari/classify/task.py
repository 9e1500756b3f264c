"""Training and test rows, classes and folds of a dataset: the same for every feature source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saefari.classify.folds import make_folds, tied_rows, usable_classes
from saefari.data.splits import TEST, TRAIN
from saefari.errors import DataError, StoreError
from saefari.store import has_images, read_samples, read_samples_record, read_split


@dataclass(frozen=True)
class Task:
    """Rows to classify, numbered consecutively over the sample folders.

    samples: SHA-256 of each folder's samples.parquet. train, test: int64 indices of the rows used.
    train_classes, test_classes: int, indices into `names`. folds: int8 [len(train)].
    dropped: class -> reason why it is left out. n_dropped: number of its rows, over all dropped classes.
    """

    samples: list[str]
    n_rows: int
    train: np.ndarray
    test: np.ndarray
    train_classes: np.ndarray
    test_classes: np.ndarray
    names: list[str]
    folds: np.ndarray
    test_row: np.ndarray
    test_id: list[str]
    train_texts: list[str]
    test_texts: list[str]
    dropped: dict[str, str]
    n_dropped: int


def load_task(folders: Sequence[Path], n_folds: int, seed: int) -> Task:
    """Read rows and split of the sample folders. Raises StoreError or DataError if they cannot be classified."""
    content = "pixels" if all(has_images(folder) for folder in folders) else "text"
    names_read = list(dict.fromkeys(["row", "id", "text", "label", "group", content]))
    tables = [read_samples(folder, names_read).to_pydict() for folder in folders]
    columns = {name: [value for table in tables for value in table[name]] for name in tables[0]}
    parts = np.concatenate([read_split(folder) for folder in folders])
    labels = np.asarray([label if label is not None else "" for label in columns["label"]], dtype=object)
    train, test = np.flatnonzero(parts == TRAIN), np.flatnonzero(parts == TEST)
    names, dropped = usable_classes(labels[train].tolist(), labels[test].tolist(), n_folds)
    number = {name: i for i, name in enumerate(names)}
    kept_train = train[[label in number for label in labels[train]]]
    kept_test = test[[label in number for label in labels[test]]]
    train_classes = np.asarray([number[label] for label in labels[kept_train]], dtype=np.int64)
    ties = tied_rows([columns[content][i] for i in kept_train], [columns["group"][i] for i in kept_train])
    if len(np.unique(ties)) < 2:
        raise DataError(
            f"the {len(kept_train)} training rows cannot be cross-validated: all share one text, image or "
            "group, directly or in a chain; set another group_field"
        )
    return Task(
        samples=[_digest(folder) for folder in folders],
        n_rows=len(parts),
        train=kept_train,
        test=kept_test,
        train_classes=train_classes,
        test_classes=np.asarray([number[label] for label in labels[kept_test]], dtype=np.int64),
        names=names,
        folds=make_folds(train_classes, ties, n_folds, seed),
        test_row=np.asarray(columns["row"])[kept_test],
        test_id=[columns["id"][i] for i in kept_test],
        train_texts=[columns["text"][i] or "" for i in kept_train],
        test_texts=[columns["text"][i] or "" for i in kept_test],
        dropped=dropped,
        n_dropped=len(train) + len(test) - len(kept_train) - len(kept_test),
    )


def _digest(folder: Path) -> str:
    record = read_samples_record(folder)
    if record is None:
        raise StoreError(f"{folder}: the samples are missing or damaged: run the extraction again")
    return str(record["sha256"])
