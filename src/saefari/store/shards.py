"""NPZ shards of codes and hidden states: a shard is a fixed range of dataset rows.

A codes shard contains byte planes (see saefari.store.packed_arrays): `counts_byte0` … [n_positions], the number of
active latents per position; `gaps_byte0` … [n_active], differences of the ascending latent indices; `values_byte0` …
[n_active]; also `offsets` [n_rows + 1], the first position of each row, and `d_sae`. Shards of earlier versions contain
`indptr`, `indices` and `values` instead. A hidden shard contains `pooled_last` and `pooled_mean` [n_rows, d_model]
(float16 if rounding is negligible for a probe, else float32) and, if every position is stored, `positions`
[n_positions, d_model] (float16) and `offsets`. Both may contain `stat_*` arrays and, with outlier detection,
`outliers`: ascending indices of positions whose hidden state has too large a norm; they have no active latent and are
not pooled.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import sparse

from saefari.errors import StoreError
from saefari.fingerprint import file_sha256
from saefari.store.files import atomic_write
from saefari.store.manifest import Manifest, ShardRecord
from saefari.store.packed_arrays import ACTIVATION_ARRAYS, INDPTR_ARRAYS, pack_codes, unpack_codes, unpack_indptr

SHARD_ROWS = 2048
_COMPRESSION_LEVEL = 1  # higher levels save 3% of the bytes but take three times as long
_SAMPLE_BYTES = 1 << 16
_MAX_COMPRESSED_SHARE = 0.97  # arrays that shrink less are stored uncompressed, which is faster
_CODES = (*INDPTR_ARRAYS, *ACTIVATION_ARRAYS, "offsets", "d_sae", "outliers")


def no_outliers() -> np.ndarray:
    """Return an empty array of outlier indices."""
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class CodesShard:
    """Codes of rows [start, start + n_rows); see the module docstring for the arrays."""

    start: int
    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    d_sae: int
    outliers: np.ndarray = field(default_factory=no_outliers)

    @classmethod
    def from_arrays(cls, start: int, arrays: Mapping[str, np.ndarray]) -> CodesShard:
        """Invert `codes_arrays`; indices become int32 and values float32."""
        indptr = unpack_indptr(arrays)
        indices, values = unpack_codes(arrays, indptr)
        return cls(
            start,
            indptr,
            indices.astype(np.int32),
            values.astype(np.float32),
            arrays["offsets"],
            int(arrays["d_sae"]),
            arrays.get("outliers", no_outliers()),
        )

    @property
    def n_rows(self) -> int:
        return len(self.offsets) - 1

    def to_csr(self) -> sparse.csr_array:
        """Return the codes [n_positions, d_sae] as a view."""
        return sparse.csr_array((self.values, self.indices, self.indptr), shape=(len(self.indptr) - 1, self.d_sae))

    def without_outliers(self) -> tuple[sparse.csr_array, np.ndarray]:
        """Return (codes, offsets) without the outlier positions, for pooling."""
        if not len(self.outliers):
            return self.to_csr(), self.offsets
        indptr = np.delete(self.indptr, self.outliers)  # an outlier has no active latent
        codes = sparse.csr_array((self.values, self.indices, indptr), shape=(len(indptr) - 1, self.d_sae))
        return codes, self.offsets - np.searchsorted(self.outliers, self.offsets)


@dataclass(frozen=True)
class HiddenShard:
    """All positions of rows [start, start + n_rows): positions [n_positions, d_model], offsets [n_rows + 1]."""

    start: int
    positions: np.ndarray
    offsets: np.ndarray
    outliers: np.ndarray


def shard_ranges(n_rows: int, shard_rows: int = SHARD_ROWS) -> list[tuple[int, int]]:
    """Return the row ranges [start, stop) of the shards, which are the same in a resumed run."""
    return [(start, min(start + shard_rows, n_rows)) for start in range(0, n_rows, shard_rows)]


def write_shard(folder: Path, index: int, rows: tuple[int, int], arrays: Mapping[str, np.ndarray]) -> ShardRecord:
    """Write one shard atomically; equal arrays give equal bytes.

    Integer arrays are compressed if a sample of them shrinks; floats hardly shrink and are stored uncompressed.
    """
    path = folder / f"shard-{index:05d}.npz"
    with atomic_write(path) as temporary:
        with zipfile.ZipFile(temporary, "w", compresslevel=_COMPRESSION_LEVEL) as archive:
            for name, array in arrays.items():
                archive.compression = zipfile.ZIP_DEFLATED if _shrinks(array) else zipfile.ZIP_STORED
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
        size, digest = temporary.stat().st_size, file_sha256(temporary)
    return ShardRecord(path.name, rows[0], rows[1] - rows[0], size, digest)


def _shrinks(array: np.ndarray) -> bool:
    """Whether compression is worthwhile, tested on the first bytes of the array."""
    if array.dtype.kind not in "iu":
        return False
    sample = array.reshape(-1)[: _SAMPLE_BYTES // array.dtype.itemsize].tobytes()
    return len(zlib.compress(sample, _COMPRESSION_LEVEL)) <= _MAX_COMPRESSED_SHARE * len(sample)


def codes_arrays(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, offsets: np.ndarray, d_sae: int
) -> dict[str, np.ndarray]:
    """Encode the arrays of a codes shard compactly; `CodesShard.from_arrays` decodes them.

    indices [m] must ascend within each position. Values become float16 if all are in its normal range (relative error
    2**-11), else float32.
    """
    return {
        **pack_codes(indptr, indices, values, d_sae),
        "offsets": offsets.astype(np.int64),
        "d_sae": np.asarray(d_sae, dtype=np.int64),
    }


def iter_codes(folder: Path, shards: Sequence[int] | None = None) -> Iterator[CodesShard]:
    """Yield shards (default: all, in row order), verified. Raises StoreError if they are incomplete or altered."""
    manifest = complete_manifest(folder)
    for record, arrays in _verified(folder, manifest, _CODES, shards):
        yield CodesShard.from_arrays(record.start, arrays)


def iter_hidden_positions(folder: Path, shards: Sequence[int] | None = None) -> Iterator[HiddenShard]:
    """Yield stored positions, shard by shard (default: all). Raises StoreError if the run stored none."""
    for record, arrays in _verified(folder, complete_manifest(folder), ("positions", "offsets", "outliers"), shards):
        if "positions" not in arrays:
            raise StoreError(f"{folder} has no positions: extract with settings.act_only or settings.store_positions")
        outliers = arrays.get("outliers", no_outliers())
        yield HiddenShard(record.start, arrays["positions"], arrays["offsets"], outliers)


def read_pooled_hidden(folder: Path, how: str) -> np.ndarray:
    """Read pooled hidden states, float32 [n_rows, d_model]; how: 'last' or 'mean'."""
    name = f"pooled_{how}"
    shards = [arrays[name] for _, arrays in _verified(folder, complete_manifest(folder), [name])]
    return np.concatenate(shards, dtype=np.float32)


def iter_arrays(folder: Path, prefix: str) -> Iterator[tuple[ShardRecord, dict[str, np.ndarray]]]:
    """Yield every recorded shard with its arrays whose names start with `prefix`."""
    manifest = Manifest.load(folder)
    for record in manifest.shards if manifest else []:
        with np.load(folder / record.name, allow_pickle=False) as archive:
            yield record, {name: archive[name] for name in archive.files if name.startswith(prefix)}


def complete_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of shards. Raises StoreError if rows are missing."""
    manifest = Manifest.load(folder)
    if manifest is None or not manifest.complete:
        state = "no shards" if manifest is None else "only part of its rows"
        raise StoreError(f"{folder} contains {state}: run `python run_experiments.py --extract-only` first")
    return manifest


def _verified(
    folder: Path, manifest: Manifest, names: Collection[str], shards: Sequence[int] | None = None
) -> Iterator[tuple[ShardRecord, dict[str, np.ndarray]]]:
    """Verify each shard (default: all) by its hash; yield those of the named arrays that it has."""
    for record in manifest.shards if shards is None else (manifest.shards[shard] for shard in shards):
        path = folder / record.name
        try:
            if file_sha256(path) != record.sha256:
                raise StoreError(
                    f"{path} does not match its recorded hash: run the extraction again, which rewrites only this shard"
                )
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files if name in names}
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error}): run the extraction again") from None
        yield record, arrays
