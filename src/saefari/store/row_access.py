"""Fast access to a few rows of a stored dataset split: reads only their shards, without checking hashes.

Rows are identified by their dataset row number (column `row` of samples.parquet and predictions.parquet), which
differs from their position in the files if a run sampled rows. Results are in the requested order.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from saefari.errors import StoreError
from saefari.store.layout import SAMPLES
from saefari.store.manifest import Manifest
from saefari.store.samples import read_samples
from saefari.store.shards import CodesShard

T = TypeVar("T")
_BATCH_ROWS = 128
_BUFFER = 1 << 20


def read_sample_rows(folder: Path, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """Read columns of samples.parquet for the given dataset rows; folder: a split's samples.

    Raises StoreError if samples.parquet is missing, unreadable, or lacks a row or column.
    """
    places = _places(folder, rows)
    path = folder / SAMPLES
    unique_places, order = np.unique(places, return_inverse=True)
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
            missing = sorted(set(columns) - set(file.schema_arrow.names))
            if missing:
                raise StoreError(f"{path} has no column {missing[0]!r}")
            table = pa.concat_tables(_read_places(file, unique_places, columns))
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"{path} cannot be read ({error}): run the extraction again") from None
    return table.take(pa.array(order))


def _read_places(file: pq.ParquetFile, places: np.ndarray, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield columns of the rows at ascending places, in batches: a row group may hold gigabytes of images."""
    start = 0
    for group in range(file.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        in_group = places[np.searchsorted(places, start) : np.searchsorted(places, stop)] - start
        if len(in_group):
            first = 0
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=list(columns), use_threads=False):
                low, high = np.searchsorted(in_group, [first, first + len(batch)])
                yield pa.Table.from_batches([batch]).take(pa.array(in_group[low:high] - first))
                first += len(batch)
                if first > in_group[-1]:
                    break
        start = stop


def read_codes_rows(folder: Path, rows: Sequence[int]) -> CodesShard:
    """Read the codes of the given dataset rows; folder: codes of one SAE, below the split's samples.

    Row i of the result is rows[i]; `start` is 0. Raises StoreError if a row's shard is missing or unreadable.
    """
    places = _places(folder.parents[1], rows)
    counts: dict[int, np.ndarray] = {}
    active: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    outliers: dict[int, np.ndarray] = {}
    for shard, requested in _shards(folder, places, CodesShard.from_arrays):
        for i in requested:
            first, last = shard.offsets[places[i] - shard.start :][:2]
            indptr = shard.indptr[first : last + 1]
            counts[i] = np.diff(indptr)
            outliers[i] = shard.outliers[(shard.outliers >= first) & (shard.outliers < last)] - first
            active[i] = shard.indices[indptr[0] : indptr[-1]], shard.values[indptr[0] : indptr[-1]]
    in_order = range(len(places))
    per_position = np.concatenate([counts[i] for i in in_order])
    offsets = np.cumsum([0, *(len(counts[i]) for i in in_order)], dtype=np.int64)
    return CodesShard(
        start=0,
        indptr=np.concatenate([[0], np.cumsum(per_position, dtype=np.int64)]),
        indices=np.concatenate([active[i][0] for i in in_order]),
        values=np.concatenate([active[i][1] for i in in_order]),
        offsets=offsets,
        d_sae=shard.d_sae,
        outliers=np.concatenate([outliers[i] + offsets[i] for i in in_order]),
    )


def read_hidden_rows(folder: Path, rows: Sequence[int], how: str) -> np.ndarray:
    """Read pooled hidden states of the given dataset rows, float32 [n_rows, d_model]; how: 'last' or 'mean'.

    folder: hidden states of one layer, below the split's samples. Raises StoreError if a row's shard is missing or
    unreadable.
    """
    places = _places(folder.parents[1], rows)
    pooled: dict[int, np.ndarray] = {}
    for (start, states), requested in _shards(folder, places, lambda start, arrays: (start, arrays[f"pooled_{how}"])):
        pooled.update((i, states[places[i] - start]) for i in requested)
    return np.stack([pooled[i] for i in range(len(places))], dtype=np.float32)


def _places(samples: Path, rows: Sequence[int]) -> np.ndarray:
    """Return the position of each dataset row in the split's files, int64 [n]."""
    if len(rows) == 0:
        raise ValueError("no rows requested")
    stored = read_samples(samples, ["row"])["row"].to_numpy()  # ascending
    requested = np.asarray(rows, dtype=np.int64)
    places: np.ndarray = np.searchsorted(stored, requested).clip(max=len(stored) - 1)
    absent = requested[stored[places] != requested]
    if len(absent):
        raise StoreError(f"{samples / SAMPLES} has no row {absent[0]}")
    return places


def _shards(
    folder: Path, places: np.ndarray, parse: Callable[[int, Mapping[str, np.ndarray]], T]
) -> Iterator[tuple[T, list[int]]]:
    """Yield (parsed shard, indices into `places` that it contains) for each shard that contains any."""
    manifest = Manifest.load(folder)
    found = np.zeros(len(places), dtype=bool)
    for record in manifest.shards if manifest else []:
        here = (places >= record.start) & (places < record.start + record.rows)
        if here.any():
            found |= here
            yield _parsed(folder / record.name, record.start, parse), np.flatnonzero(here).tolist()
    if not found.all():
        raise StoreError(
            f"{folder} lacks {(~found).sum()} of the {len(places)} requested rows: run the extraction again"
        )


def _parsed(path: Path, start: int, parse: Callable[[int, Mapping[str, np.ndarray]], T]) -> T:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return parse(start, archive)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path} cannot be read ({error}): run the extraction again") from None
