"""The images in which each latent of an SAE is strongest, found in one pass over its codes.

Shards are read one after another, and of a shard a bounded number of activations at a time is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from saefari.errors import StoreError
from saefari.report.images.running_top_k import Pictures, TopImages
from saefari.store import CodesShard, Manifest, iter_codes, iter_samples
from saefari.store.files import read_json
from saefari.store.layout import SAMPLES_RECORD

_MOST_ACTIVATIONS = 1_000_000
"""Taken in at a time; of a single row there may be more."""


def find_top_images(folder: Path, training: np.ndarray, k: int) -> TopImages:
    """The k images in which each latent is strongest, each picture once, however many rows hold it.

    folder: of one SAE's codes, below the samples of a split with images. training: bool [n_rows]. Raises StoreError
    where the codes are incomplete, altered or of other samples.
    """
    samples = folder.parents[1]
    manifest = Manifest.load(folder)
    if (
        manifest is not None
        and manifest.settings.get("samples") != (read_json(samples / SAMPLES_RECORD) or {})["sha256"]
    ):
        raise _other_samples(folder)
    top = None
    for codes, table in zip(iter_codes(folder), iter_samples(samples, ["pixels", "patch"]), strict=True):
        top = top or TopImages(codes.d_sae, k)
        pictures = _pictures(table, codes, training, folder)
        for start, stop in _blocks(codes):
            top.add(*_rows(codes, pictures, start, stop))
    if top is None:
        raise StoreError(f"{folder} holds no shard: run the extraction again")
    return top


def _pictures(table: pa.Table, codes: CodesShard, training: np.ndarray, folder: Path) -> Pictures:
    """What the samples say of a shard's rows. Raises StoreError where they do not belong together."""
    digests = table["pixels"].to_pylist()
    there = np.array([digest is not None for digest in digests], dtype=bool)
    patches = table["patch"].combine_chunks()
    listed = pc.fill_null(pc.list_value_length(patches), 0).to_numpy(zero_copy_only=False)
    lengths = np.diff(codes.offsets)
    if len(listed) != codes.n_rows or (there & (listed != lengths)).any():
        raise _other_samples(folder)
    cells = np.full(codes.offsets[-1], -1, dtype=np.int32)
    flat = patches.flatten().to_numpy(zero_copy_only=False)
    cells[np.repeat(there, lengths)] = flat[np.repeat(there, listed)]
    numbers = np.array([int(digest[:16], 16) if digest else 0 for digest in digests], dtype=np.uint64)
    return Pictures(there, numbers, cells, training[codes.start : codes.start + codes.n_rows])


def _blocks(codes: CodesShard) -> Iterator[tuple[int, int]]:
    """Ranges of the shard's rows, with at most _MOST_ACTIVATIONS or one row each."""
    before = codes.indptr[codes.offsets]
    start = 0
    while start < codes.n_rows:
        fitting = int(np.searchsorted(before, before[start] + _MOST_ACTIVATIONS, side="right")) - 1
        stop = max(start + 1, fitting)
        yield start, stop
        start = stop


def _rows(codes: CodesShard, pictures: Pictures, start: int, stop: int) -> tuple[CodesShard, Pictures]:
    """Some of a shard's rows."""
    first, last = codes.offsets[[start, stop]]
    indptr = codes.indptr[first : last + 1]
    active, rows = slice(indptr[0], indptr[-1]), slice(start, stop)
    offsets = codes.offsets[start : stop + 1] - first
    part = CodesShard(
        codes.start + start, indptr - indptr[0], codes.indices[active], codes.values[active], offsets, codes.d_sae
    )
    return part, Pictures(
        pictures.there[rows], pictures.digests[rows], pictures.patches[first:last], pictures.training[rows]
    )


def _other_samples(folder: Path) -> StoreError:
    return StoreError(f"{folder}: its codes were made from other samples: run the extraction again")
