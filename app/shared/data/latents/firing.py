"""A code set indexed by latent: the stored codes (by position) are transposed."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from app.shared.data.bounded_cache import BoundedCache
from app.shared.data.codes import CodeSet
from saefari.errors import StoreError
from saefari.store import CodesShard, ShardRecord, iter_arrays, read_codes_head, read_samples

MOST_ACTIVATIONS = 8_000_000
"""From a larger code set, read the first rows of evenly spaced shards, which is enough for examples."""
_MOST_SHARDS = 32
_MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Firing:
    """Activations of a code set's latents in the rows that were read.

    starts: int64 [d_sae + 1]; latent i owns positions and values starts[i]:starts[i + 1], in row order.
    positions: int32 [n_active], counted over the rows read. values: [n_active], above 0.
    offsets: int64 [n_rows + 1], first position of each row read. rows: int64 [n_rows], row numbers of the dataset.
    labels: int32 [n_rows], index into classes, -1 without a label. total_rows: rows of the split.
    """

    starts: np.ndarray
    positions: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    total_rows: int

    @property
    def d_sae(self) -> int:
        return len(self.starts) - 1

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    def of(self, latent: int) -> tuple[np.ndarray, np.ndarray]:
        """(positions int32 [n], values float32 [n]) of one latent, positions ascending."""
        own = slice(self.starts[latent], self.starts[latent + 1])
        return self.positions[own], self.values[own].astype(np.float32)

    def row_places(self, positions: np.ndarray) -> np.ndarray:
        """int64 [n]: index, among the rows read, of the row of each position."""
        return np.searchsorted(self.offsets, positions, side="right") - 1


@dataclass(frozen=True)
class Densities:
    """How often the latents of a code set are active, over all positions of its finished shards.

    counts: int64 [d_sae]. per_shard: number of activations in each shard.
    """

    counts: np.ndarray
    n_positions: int
    per_shard: tuple[int, ...]

    @property
    def values(self) -> np.ndarray:
        """float64 [d_sae]: share of positions at which each latent is active."""
        return self.counts / max(1, self.n_positions)

    @property
    def nbytes(self) -> int:
        return self.counts.nbytes


_firing: BoundedCache[Firing] = BoundedCache(_MOST_BYTES)
_densities: BoundedCache[Densities] = BoundedCache(_MOST_BYTES // 8)


def version(codes: CodeSet) -> tuple[str, tuple[str, ...]]:
    """Cache key of a code set's arrays; it changes with the shards."""
    return str(codes.folder), tuple(shard.sha256 for shard in codes.manifest.shards)


def densities(codes: CodeSet) -> Densities:
    """Compute exact densities from the statistics in the shards. Raises StoreError if they cannot be read."""
    return _densities.get(version(codes), lambda: _read_densities(codes))


def firing(codes: CodeSet) -> Firing:
    """Read where latents fire, in all rows or in an evenly spaced part of them. Raises StoreError."""
    return _firing.get(version(codes), lambda: _read_firing(codes))


def _read_densities(codes: CodeSet) -> Densities:
    counts, n_positions, per_shard = np.zeros(0, dtype=np.int64), 0, []
    try:
        for _, arrays in iter_arrays(codes.folder, "stat_"):
            shard = arrays["stat_counts"]
            counts = shard + counts if counts.size else shard
            n_positions += int(arrays["stat_n_positions"])
            per_shard.append(int(shard.sum()))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"the statistics of {codes.folder} cannot be read ({error})") from None
    if not per_shard:
        raise StoreError(f"{codes.folder} holds no finished shard")
    return Densities(counts, n_positions, tuple(per_shard))


def _read_firing(codes: CodeSet) -> Firing:
    shards = [read_codes_head(codes.folder, record, most) for record, most in _chosen(codes)]
    places = np.concatenate([shard.start + np.arange(shard.n_rows) for shard in shards])
    rows, labels, classes = _labelled(codes, places)
    starts, positions, values = _by_latent(shards)
    lengths = np.concatenate([np.diff(shard.offsets) for shard in shards])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Firing(starts, positions, values, offsets, rows, labels, classes, codes.manifest.n_rows)


def _chosen(codes: CodeSet) -> list[tuple[ShardRecord, int | None]]:
    """(shard, maximum number of activations to read; None: all), together at most MOST_ACTIVATIONS."""
    shards = codes.manifest.shards
    if sum(densities(codes).per_shard) <= MOST_ACTIVATIONS:
        return [(shard, None) for shard in shards]
    n = min(len(shards), _MOST_SHARDS)
    spread = np.linspace(0, len(shards) - 1, n).round().astype(int)
    return [(shards[i], MOST_ACTIVATIONS // n) for i in spread]


def _by_latent(shards: list[CodesShard]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transpose shards: (starts, positions, values) by latent. A stable sort of 16-bit numbers takes linear time."""
    latents = np.concatenate([shard.indices for shard in shards])
    values = np.concatenate([shard.values for shard in shards])
    active = np.concatenate([np.diff(shard.indptr) for shard in shards])
    positions = np.repeat(np.arange(len(active), dtype=np.int32), active)
    order = np.argsort(latents, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(latents, minlength=shards[0].d_sae))])
    return starts, positions[order], values[order]


def _labelled(codes: CodeSet, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """(dataset rows, class indices, classes) of places in the split's files."""
    table = read_samples(codes.samples, ["row", "label"])
    if len(table) <= places.max():
        raise StoreError(f"the samples of {codes.folder} are fewer than its codes; run the extraction again")
    names = table["label"].to_pandas().astype("category")
    rows = table["row"].to_numpy()[places]
    return rows, names.cat.codes.to_numpy()[places].astype(np.int32), tuple(map(str, names.cat.categories))
