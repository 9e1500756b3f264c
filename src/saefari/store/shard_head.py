"""The first rows of a codes shard, without reading the rest and without checking its hash: fast, for looking."""

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
    """As many of the shard's first rows as hold at most `most_active` activations, at least one; None: all rows.

    Indices and values keep the narrow types they are stored in. Raises StoreError when the shard cannot be read.
    """
    path = folder / record.name
    try:
        with zipfile.ZipFile(path) as archive:
            stored = {Path(name).stem for name in archive.namelist()}
            indptr = unpack_indptr({name: _member(archive, name) for name in INDPTR_ARRAYS if name in stored})
            offsets = _member(archive, "offsets")
            before = indptr[offsets]  # activations before each row
            fitting = len(before) if most_active is None else int(np.searchsorted(before, most_active, side="right"))
            n_rows = min(len(before) - 1, max(1, fitting - 1))
            n_active = int(before[n_rows])
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
    """The first n entries of an array of at most one dimension; all of them unless n is given."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{name}.npy is written in format {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or len(shape) > 1:
            raise ValueError(f"{name}.npy holds {dtype} {shape}")
        length = shape[0] if shape else 1
        wanted = length if n is None else min(n, length)
        array = np.frombuffer(file.read(wanted * dtype.itemsize), dtype)
    if len(array) != wanted:
        raise EOFError(f"{name}.npy ends early")
    return array
