"""What is known of a dataset's rows, kept beside the samples made of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from saefari.config import DatasetSpec
from saefari.data.dataset import Dataset, open_dataset
from saefari.data.known_rows import KnownRows
from saefari.store import read_samples_record, write_json
from saefari.store.layout import SAMPLES_RECORD

_KNOWN = "known_rows"
"""Beside `settings` in samples.json: what shaped the samples does not depend on it."""


def open_prepared(folder: Path, spec: DatasetSpec, split: str) -> Dataset:
    """`open_dataset`, with what the samples in a folder, if there are any, say of the dataset's rows.

    Whether the dataset is still what they were made of is not said: compare fingerprints.
    """
    record = read_samples_record(folder) or {}
    return open_dataset(spec, split, KnownRows.from_record(record.get(_KNOWN)))


def note_known(folder: Path, dataset: Dataset) -> None:
    """Keep what is known of a dataset's rows for the next run; the samples in the folder were made of them."""
    record = read_samples_record(folder)
    if record is not None and record.get(_KNOWN) != (known := asdict(dataset.known_rows())):
        write_json(folder / SAMPLES_RECORD, {**record, _KNOWN: known})
