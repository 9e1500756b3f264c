"""Stratified, seeded train/test splits that keep equal texts and groups on one side.

Texts are equal if their normal forms are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from hashlib import blake2b

import numpy as np

from saefari.data.normal_form import normal_form
from saefari.errors import DataError

TRAIN, TEST, EXCLUDED = 0, 1, -1


def text_key(text: str) -> int:
    """Return a 64-bit hash of a text's normal form."""
    return _hash(normal_form(text))


def exact_key(text: str) -> int:
    """Return a 64-bit hash of a text that ignores differences in white space."""
    return _hash(" ".join(text.split()))


def count_tied(exact_keys: np.ndarray, text_keys: np.ndarray) -> dict[str, int]:
    """Count rows with repeated texts and near-duplicates.

    exact_keys, text_keys: uint64 [n_rows], see `exact_key` and `text_key`. Returns `equal`: rows with the same text as
    another row; `near`: rows with the same normal form as a row with a different text.
    """
    _, texts, repeats = np.unique(exact_keys, return_inverse=True, return_counts=True)
    _, forms = np.unique(text_keys, return_inverse=True)
    texts_per_form = np.bincount(np.unique(np.stack([forms, texts]), axis=1)[0])
    return {"equal": int((repeats[texts] > 1).sum()), "near": int((texts_per_form[forms] > 1).sum())}


def sample_rows(n_rows: int, max_rows: int | None, seed: int) -> np.ndarray:
    """Return a seeded uniform sample of row indices, int64, ascending; max_rows None = all rows."""
    if max_rows is None or max_rows >= n_rows:
        return np.arange(n_rows, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(n_rows, size=max_rows, replace=False).astype(np.int64))


def split_rows(
    labels: Sequence[str | None],
    text_keys: np.ndarray,
    groups: Sequence[str | None],
    test_size: float,
    seed: int,
) -> np.ndarray:
    """Compute a stratified split: int8 [n_rows], 0 = train, 1 = test, -1 = excluded because the label is missing.

    text_keys: uint64 [n_rows], see `text_key`. Rows that share a text or a group, directly or through other rows,
    form a unit, which stays on one side. The test set has about a share `test_size` of each class, as closely as
    units permit; units are drawn in random order, so duplicated texts are as frequent in the test set as in the data.
    Neither side is empty. Raises DataError if there are fewer than two units.
    """
    sides = np.full(len(labels), EXCLUDED, dtype=np.int8)
    labelled = [row for row, label in enumerate(labels) if label is not None]
    if not labelled:
        raise DataError(f"no row of {len(labels)} has both a text and a label")
    units = _units(labelled, text_keys, groups)
    if len(units) < 2:
        raise DataError(
            f"the {len(labelled)} labelled rows cannot be split: all are connected by equal texts or groups; "
            "set another group_field or a test_split"
        )
    test_units = _choose_test(units, labels, test_size, seed)
    sides[labelled] = TRAIN
    for unit in test_units:
        sides[units[unit]] = TEST
    return sides


def separate_test(
    train_keys: np.ndarray,
    train_groups: Sequence[str | None],
    test_keys: np.ndarray,
    test_groups: Sequence[str | None],
) -> np.ndarray:
    """Return the training rows to drop because a test row has the same text or group: bool [n_train]."""
    held_out = {group for group in test_groups if group is not None}
    same_group = np.array([group in held_out for group in train_groups], dtype=bool)
    dropped: np.ndarray = np.isin(train_keys, test_keys) | same_group
    return dropped


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _units(rows: Sequence[int], text_keys: np.ndarray, groups: Sequence[str | None]) -> list[list[int]]:
    """Group rows that are connected by equal text or group (union-find), ordered by first row."""
    parent = {row: row for row in rows}

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join_equal(keyed: Iterable[tuple[int, Hashable]]) -> None:
        first: dict[Hashable, int] = {}
        for row, key in keyed:
            one, other = root(first.setdefault(key, row)), root(row)
            parent[max(one, other)] = min(one, other)

    join_equal(zip(rows, text_keys[rows].tolist(), strict=True))
    join_equal((row, groups[row]) for row in rows if groups[row] is not None)
    members: dict[int, list[int]] = {}
    for row in rows:
        members.setdefault(root(row), []).append(row)
    return list(members.values())


def _choose_test(
    units: Sequence[Sequence[int]], labels: Sequence[str | None], test_size: float, seed: int
) -> list[int]:
    """Choose test units: in random order, take each one that brings the class counts closer to their share."""
    totals = Counter(labels[row] for unit in units for row in unit)
    missing = {label: test_size * total for label, total in totals.items()}
    chosen = []
    for unit in np.random.default_rng(seed).permutation(len(units)).tolist():
        counts = Counter(labels[row] for row in units[unit])
        # Decrease of the squared deficit: sum over classes of missing^2 - (missing - n)^2.
        gain = sum(n * (2 * missing[label] - n) for label, n in counts.items())
        if gain > 0:
            chosen.append(unit)
            for label, n in counts.items():
                missing[label] -= n
    if not chosen:
        return [min(range(len(units)), key=lambda unit: len(units[unit]))]
    return chosen if len(chosen) < len(units) else chosen[:-1]
