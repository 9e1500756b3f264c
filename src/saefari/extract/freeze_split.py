"""Freeze the train/test split of a stored dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saefari.data.normal_form import TEXT_RULE
from saefari.data.splits import count_tied, exact_key, separate_test, split_rows, text_key
from saefari.errors import DataError
from saefari.log import logger
from saefari.store import has_images, iter_samples, read_samples_record, read_split_record, write_split


def prepare_split(folder: Path, test_folder: Path | None, test_size: float, seed: int) -> dict[str, Any]:
    """Assign rows to training and test, and save the split beside the samples. Returns the split's record.

    With `test_folder`, its rows are the test rows, and training rows that share a text or a group with one of them are
    excluded. Otherwise the split is stratified, with equal texts and equal groups on one side. Texts are equal if their
    normal forms are; the record holds the rule (`settings.text_ties`) and the number of rows it ties (`tied`).
    """
    settings = split_settings(folder, test_folder, test_size, seed)
    records = [read_split_record(place) for place in (folder, test_folder) if place]
    if all(record is not None and record["settings"] == settings for record in records):
        return records[0] or {}
    rows = _identities(folder)
    compared = rows
    if test_folder is None:
        parts = split_rows(rows.labels, rows.keys, rows.groups, test_size, seed)
        warnings = _missing_labels(parts)
    else:
        test = _identities(test_folder)
        compared = rows.joined(test)
        test_parts = np.asarray([-1 if label is None else 1 for label in test.labels], dtype=np.int8)
        write_split(test_folder, test_parts, settings, _missing_labels(test_parts))
        parts = np.asarray([-1 if label is None else 0 for label in rows.labels], dtype=np.int8)
        warnings = _missing_labels(parts)
        shared = separate_test(rows.keys, rows.groups, test.keys, test.groups) & (parts == 0)
        parts[shared] = -1
        if shared.any():
            warnings.append(f"{shared.sum()} training rows left out: they share a text or a group with a test row")
    for warning in warnings:
        logger.warning("%s: %s", folder, warning)
    tied = None if has_images(folder) else count_tied(compared.exact, compared.keys)
    if tied is not None:
        _log_tied(folder, tied, test_folder is not None)
    write_split(folder, parts, settings, warnings, tied)
    return read_split_record(folder) or {}


def split_settings(folder: Path, test_folder: Path | None, test_size: float, seed: int) -> dict[str, Any]:
    """Return what decides a split, as its record holds it; see `prepare_split`."""
    settings: dict[str, Any] = {"samples": samples_digest(folder), "seed": seed}
    settings |= {"test_samples": samples_digest(test_folder)} if test_folder else {"test_size": test_size}
    return settings if has_images(folder) else settings | {"text_ties": TEXT_RULE}


def samples_digest(folder: Path | None) -> str:
    """Return the SHA-256 of a folder's samples.parquet. Raises DataError if it is missing or damaged."""
    record = read_samples_record(folder) if folder else None
    if record is None:
        raise DataError(f"{folder}: the samples are missing or damaged; run the extraction again")
    return str(record["sha256"])


@dataclass(frozen=True)
class _Identities:
    """Labels, content keys (of normal-form text or pixels), exact-text keys and groups of rows; each [n_rows]."""

    labels: list[str | None]
    keys: np.ndarray
    exact: np.ndarray
    groups: list[str | None]

    def joined(self, other: _Identities) -> _Identities:
        """Concatenate the rows of both."""
        return _Identities(
            self.labels + other.labels,
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.exact, other.exact]),
            self.groups + other.groups,
        )


def _identities(folder: Path) -> _Identities:
    """Read the rows of a folder; a row without text or image is treated as unlabelled."""
    labels: list[str | None] = []
    groups: list[str | None] = []
    keys: list[int] = []
    exact: list[int] = []
    with_images = has_images(folder)
    for table in iter_samples(folder, ["pixels" if with_images else "text", "label", "group"]):
        for content, label, group in zip(*(column.to_pylist() for column in table.columns), strict=True):
            labels.append(None if content is None else label)
            groups.append(group)
            exact.append(exact_key(content or ""))
            keys.append(exact[-1] if with_images else text_key(content or ""))
    return _Identities(labels, np.asarray(keys, dtype=np.uint64), np.asarray(exact, dtype=np.uint64), groups)


def _log_tied(folder: Path, tied: dict[str, int], has_test_split: bool) -> None:
    if tied["equal"] or tied["near"]:
        logger.info(
            "%s: %s rows have an exact duplicate, %s a near-duplicate (%s): %s",
            folder,
            f"{tied['equal']:,}",
            f"{tied['near']:,}",
            TEXT_RULE,
            "no training row duplicates a test row" if has_test_split else "duplicates stay on one side of the split",
        )


def _missing_labels(parts: np.ndarray) -> list[str]:
    missing = int((parts == -1).sum())
    return [f"{missing} rows left out: they have no label or no content"] if missing else []
