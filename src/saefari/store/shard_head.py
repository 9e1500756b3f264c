"""Fast reading of the first rows of a codes shard, without reading the rest or checking its hash."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from saefari.errors import StoreError
from saefari.store.manifest import ShardRecord
from saefari.store.packed_arrays import ACTIVATION_ARRAYS, INDPTR_ARRAYS, unpack_codes, unpack_indptr
from saefari.store.shards import CodesShard


def read_codes_head(folder: Path, record: ShardRecord, most_active: int | None = None) -> CodesShard:
    """Read the first rows of a shard: as many as have at most `most_active` activations, at least one; None: all.

    Indices and values keep their stored types. Raises StoreError if the shard cannot be read.
    """
    path = folder / record.name
    try:
        with zipfile.ZipFile(path) as archive:
            stored = {Path(name).stem for name in archive.namelist()}
            indptr = unpack_indptr({name: _member(archive, name) for name in INDPTR_ARRAYS if name in stored})
            offsets = _member(archive, "offsets")
            starts = indptr[offsets]  # first activation of each row
            fitting = len(starts) if most_active is None else int(np.searchsorted(starts, most_active, side="right"))
            n_rows = min(len(starts) - 1, max(1, fitting - 1))
            n_active = int(starts[n_rows])
            active = {name: _member(archive, name, n_active) for name in ACTIVATION_ARRAYS if name in stored}
            indptr = indptr[: offsets[n_rows] + 1]
            return CodesShard(
                record.start,
                indptr,
                *unpack_codes(active, indptr),
                offsets[: n_rows + 1],
                int(_member(archive, "d_sae")[0]),
            )
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path} cannot be read ({error}): run the extraction again") from None


def _member(archive: zipfile.ZipFile, name: str, n: int | None = None) -> np.ndarray:
    """Read the first n entries (default: all) of an array of at most one dimension."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{name}.npy has the unknown format version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or len(shape) > 1:
            raise ValueError(f"{name}.npy has the unexpected type {dtype} {shape}")
        length = shape[0] if shape else 1
        n_read = length if n is None else min(n, length)
        array = np.frombuffer(file.read(n_read * dtype.itemsize), dtype)
    if len(array) != n_read:
        raise EOFError(f"{name}.npy is truncated")
    return array
