"""Reuse of row counts and fingerprints of a dataset, stored beside the samples made of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from saefari.config import DatasetSpec
from saefari.data.dataset import Dataset, open_dataset
from saefari.data.known_rows import KnownRows
from saefari.store import read_samples_record, write_json
from saefari.store.layout import SAMPLES_RECORD

_KNOWN = "known_rows"
"""Key in samples.json, outside `settings`, since the samples do not depend on it."""


def open_prepared(folder: Path, spec: DatasetSpec, split: str) -> Dataset:
    """Open a dataset, reusing what an earlier run stored about its rows beside the samples in `folder`.

    Does not check that the dataset is unchanged: compare fingerprints.
    """
    record = read_samples_record(folder) or {}
    return open_dataset(spec, split, KnownRows.from_record(record.get(_KNOWN)))


def store_known_rows(folder: Path, dataset: Dataset) -> None:
    """Store what is known of a dataset's rows, for the next run, beside the samples made of them."""
    record = read_samples_record(folder)
    if record is not None and record.get(_KNOWN) != (known := asdict(dataset.known_rows())):
        write_json(folder / SAMPLES_RECORD, {**record, _KNOWN: known})
