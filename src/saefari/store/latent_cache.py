"""Latent caches: where each latent of an SAE is active, stored in latent order.

    <folder>/cache.json                   settings, and a record of every finished segment
    <folder>/segment-00000.safetensors    the activations in consecutive rows

Arrays of a segment with n rows, p positions and m activations:
`starts` int64 [d_sae + 1]: latent l owns entries starts[l]:starts[l + 1] of the next two. `positions` uint32 [m]:
positions within the segment, ascending for each latent. `values` [m]: float16 if all are in its normal range (relative
error 2**-11), else float32. `offsets` int64 [n + 1]: first position of each row. `rows` int64 [n]: dataset row numbers.
`labels` int32 [n]: index into the segment's classes (a JSON list in the file's metadata), -1 without a label.
`counts`, `row_counts` int64 [d_sae]: positions and rows in which each latent is active, also for latents whose
activations are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from saefari.errors import StoreError
from saefari.fingerprint import file_sha256
from saefari.store.files import atomic_write, read_json, write_json
from saefari.store.packed_arrays import compact_activations

RECORD = "cache.json"
SEGMENT_ACTIVATIONS = 8_000_000
"""Activations of a segment; one row may exceed it."""


@dataclass(frozen=True)
class CachedRows:
    """Consecutive rows and their codes.

    codes: [n_positions, d_sae]. offsets: int64 [n_rows + 1], first position of each row. rows: int64 [n_rows], dataset
    row numbers. labels: class of each row, or None.
    """

    codes: sparse.csr_array
    offsets: np.ndarray
    rows: np.ndarray
    labels: Sequence[str | None]


@dataclass(frozen=True)
class SegmentRecord:
    """Finished segment: stored rows [start, stop) of a source, of which `rows` are in the cache."""

    name: str
    source: str
    start: int
    stop: int
    rows: int
    positions: int
    activations: int
    bytes: int
    sha256: str


@dataclass
class CacheRecord:
    """Settings of a cache, its finished segments, and whether all are finished.

    settings: everything that shaped it; `sources` maps the name of each source to what identifies its rows and codes.
    """

    settings: dict[str, Any]
    d_sae: int
    segments: list[SegmentRecord] = field(default_factory=list)
    complete: bool = False

    def add(self, segment: SegmentRecord) -> None:
        """Record a segment, replacing one of the same name."""
        kept = [other for other in self.segments if other.name != segment.name]
        self.segments = sorted([*kept, segment], key=lambda one: one.name)

    def save(self, folder: Path) -> None:
        """Write the record atomically."""
        totals = {
            "rows": sum(segment.rows for segment in self.segments),
            "positions": sum(segment.positions for segment in self.segments),
            "activations": sum(segment.activations for segment in self.segments),
        }
        write_json(folder / RECORD, {**asdict(self), "totals": totals})

    @classmethod
    def load(cls, folder: Path) -> CacheRecord | None:
        """Read the record of a folder, or None if there is none. Raises StoreError if it cannot be read."""
        raw = read_json(folder / RECORD)
        if raw is None:
            return None
        try:
            segments = [SegmentRecord(**segment) for segment in raw["segments"]]
            return cls(raw["settings"], raw["d_sae"], segments, raw["complete"])
        except (KeyError, TypeError) as error:
            raise StoreError(f"{folder / RECORD} is no record of a latent cache ({error}); remove it") from None


def segment_is_intact(folder: Path, record: SegmentRecord) -> bool:
    """Whether the segment exists and matches its recorded size and hash."""
    path = folder / record.name
    try:
        return path.stat().st_size == record.bytes and file_sha256(path) == record.sha256
    except OSError:
        return False


def write_segment(
    folder: Path, index: int, source: str, places: tuple[int, int], rows: CachedRows, kept: np.ndarray | None
) -> SegmentRecord:
    """Write one segment atomically; equal input gives equal bytes.

    places: stored rows [start, stop) of the source that it covers. kept: latents whose activations are stored, None =
    all.
    """
    from safetensors.numpy import save_file

    codes = rows.codes.tocsc()
    codes.sort_indices()
    counts, row_counts = _counts(codes, rows.offsets)
    starts, positions, values = _select(codes, kept)
    names = sorted({label for label in rows.labels if label is not None})
    numbers = {name: number for number, name in enumerate(names)}
    arrays = {
        "starts": starts,
        "positions": positions.astype(np.uint32),
        "values": compact_activations(values),
        "offsets": rows.offsets.astype(np.int64),
        "rows": rows.rows.astype(np.int64),
        "labels": np.asarray([-1 if label is None else numbers[label] for label in rows.labels], dtype=np.int32),
        "counts": counts,
        "row_counts": row_counts,
    }
    path = folder / f"segment-{index:05d}.safetensors"
    with atomic_write(path) as temporary:
        save_file(arrays, temporary, metadata={"classes": json.dumps(names, ensure_ascii=False)})
        size, digest = temporary.stat().st_size, file_sha256(temporary)
    return SegmentRecord(
        path.name, source, *places, len(rows.rows), codes.shape[0], len(positions), bytes=size, sha256=digest
    )


class Segment:
    """A stored segment, read in slices: only the requested bytes are read from the disk.

    Raises StoreError if the file is missing, has another size than recorded, or cannot be read.
    """

    def __init__(self, folder: Path, record: SegmentRecord) -> None:
        from safetensors import SafetensorError, safe_open

        self._path = folder / record.name
        try:
            if self._path.stat().st_size != record.bytes:
                raise StoreError(f"{self._path} has another size than recorded: build the cache again")
            self._file: Any = safe_open(self._path, framework="numpy")
        except (OSError, SafetensorError) as error:
            raise StoreError(f"{self._path} cannot be read ({error}): build the cache again") from None

    def array(self, name: str, entries: tuple[int, int] | None = None) -> np.ndarray:
        """Return an array, or its entries [start, stop) with start < stop; see the module docstring."""
        from safetensors import SafetensorError

        try:
            whole_or_part: np.ndarray
            if entries is None:
                whole_or_part = self._file.get_tensor(name)
            else:
                whole_or_part = self._file.get_slice(name)[slice(*entries)]
            return whole_or_part
        except (OSError, SafetensorError) as error:
            raise StoreError(f"{self._path}: {name} cannot be read ({error}): build the cache again") from None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that `labels` refers to."""
        return tuple(json.loads(self._file.metadata()["classes"]))

    def activations(self, latent: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (positions int64 [m] within the segment, ascending; values float32 [m]) of one latent."""
        first, last = (int(bound) for bound in self.array("starts", (latent, latent + 2)))
        if first == last:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        positions = self.array("positions", (first, last)).astype(np.int64)
        return positions, self.array("values", (first, last)).astype(np.float32)

    def to_csc(self) -> sparse.csc_array:
        """Return all kept activations, float32 [n_positions, d_sae]."""
        starts, offsets = self.array("starts"), self.array("offsets")
        values, positions = self.array("values").astype(np.float32), self.array("positions").astype(np.int32)
        return sparse.csc_array((values, positions, starts), shape=(int(offsets[-1]), len(starts) - 1))


def _counts(codes: sparse.csc_array, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of positions and of rows in which each latent is active, int64 [d_sae]."""
    per_latent = np.diff(codes.indptr).astype(np.int64)
    rows = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))[codes.indices]
    is_first = np.ones(len(rows), dtype=bool)  # first activation of a latent in a row
    is_first[1:] = rows[1:] != rows[:-1]
    is_first[codes.indptr[:-1][per_latent > 0]] = True
    firsts = np.concatenate([[0], np.cumsum(is_first)])
    return per_latent, firsts[codes.indptr[1:]] - firsts[codes.indptr[:-1]]


def _select(codes: sparse.csc_array, kept: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts [d_sae + 1], positions and values of the kept latents; the others get empty ranges."""
    if kept is None:
        return codes.indptr.astype(np.int64), codes.indices, codes.data
    lengths = np.zeros(codes.shape[1], dtype=np.int64)
    lengths[kept] = np.diff(codes.indptr)[kept]
    chosen = codes[:, np.sort(kept)]
    return np.concatenate([[0], np.cumsum(lengths)]), chosen.indices, chosen.data
