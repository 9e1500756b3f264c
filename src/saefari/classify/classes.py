"""Check from the labels alone that rows can be classified, before anything is computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from saefari.classify.folds import usable_classes
from saefari.data.splits import TEST, TRAIN
from saefari.errors import DataError, shown
from saefari.store import read_samples, read_split, read_split_record

_MIN_DISTINCT_VALUES = 10
"""From this many distinct numbers, labels are more likely values of a quantity than class names."""


def check_classes(folders: Sequence[Path], n_folds: int, where: str, label_field: str) -> list[str]:
    """Check that at least two classes can be trained and tested; return warnings for classes that are left out.

    folders: samples of a split, and of the test split if there is one. where: names the rows in warnings.
    Raises DataError if fewer than two classes remain, StoreError if the rows were not prepared.
    """
    read = [label for folder in folders for label in read_samples(folder, ["label"])["label"].to_pylist()]
    labels = np.asarray(read, dtype=object)
    parts = np.concatenate([read_split(folder) for folder in folders])
    train, test = labels[parts == TRAIN].tolist(), labels[parts == TEST].tolist()
    hint = quantity_hint([*train, *test], label_field)
    try:
        names, dropped = usable_classes(train, test, n_folds)
    except DataError as error:
        raise DataError(". ".join(filter(None, [str(error), hint, _tied_hint(folders)]))) from None
    kept = set(names)
    warning = dropped_warning(where, dropped, sum(label not in kept for label in [*train, *test]))
    return [*([warning] if warning else []), *([f"{where}: {hint}"] if hint else [])]


def _tied_hint(folders: Sequence[Path]) -> str:
    """Return a hint if most rows share their text with another row, which keeps them on one side of the split.

    folders: as for `check_classes`; the split record of the first counts the rows of all. Returns "" for no hint.
    """
    tied = (read_split_record(folders[0]) or {}).get("tied", {})
    n_rows = sum(len(read_split(folder)) for folder in folders)
    n_tied = max(tied.values(), default=0)
    if 2 * n_tied <= n_rows:
        return ""
    return f"{n_tied:,} of {n_rows:,} rows share their text with another, and such rows stay on one side of the split"


def check_labels(labels: Sequence[str | None], n_folds: int, label_field: str) -> None:
    """Raise DataError if rows with these labels cannot be classified under any split; None = no label."""
    given = [label for label in labels if label is not None]
    counts = Counter(given)
    train = [name for name, count in counts.items() for _ in range(count - 1)]  # best case: one test row per class
    try:
        usable_classes(train, list(counts), n_folds)
    except DataError as error:
        hint = quantity_hint(given, label_field)
        raise DataError(". ".join(filter(None, [str(error), hint]))) from None


def dropped_warning(where: str, dropped: Mapping[str, str], n_rows: int) -> str:
    """Return a warning that lists the classes left out and the reasons; "" if there are none."""
    if not dropped:
        return ""
    listed = ", ".join(f"{shown(name)} ({reason})" for name, reason in list(dropped.items())[:5])
    more = f" and {len(dropped) - 5} more" if len(dropped) > 5 else ""
    return f"{where}: {len(dropped)} classes with {n_rows} rows are left out: {listed}{more}"


def quantity_hint(labels: Sequence[str], label_field: str) -> str:
    """Return how to bin labels that look like values of a quantity; "" if they look like class names."""
    names = set(labels)
    try:
        values = sorted({float(name) for name in names})
    except ValueError:
        return ""
    if len(values) < _MIN_DISTINCT_VALUES or not all(map(math.isfinite, values)):
        return ""
    if all(value.is_integer() for value in values) and (_are_ids(values) or len(labels) > 20 * len(values)):
        return ""
    field = shown(label_field)
    example = f'rows["binned"] = pandas.qcut(rows[{field}], 3, labels=["low", "middle", "high"])'
    numbers = f"{len(values):,} different numbers from {values[0]:g} to {values[-1]:g}"
    return (
        f"The column {field} holds {numbers} and looks like a quantity: bin it, for example by {example}, "
        "save the rows and set label_field: binned"
    )


def _are_ids(values: Sequence[float]) -> bool:
    """Whether ascending integers look like class ids."""
    return values[0] in (0, 1) and values[-1] < 2 * len(values)
