"""The cache of an SAE's activations: one latent is read without the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse

from saefari.errors import SaeError, StoreError
from saefari.store.latent_cache import RECORD, CacheRecord, Segment


@dataclass(frozen=True)
class Rows:
    """All rows of a cache, in cache order: source by source, each in stored order.

    source: int32 [n_rows], index into `LatentCache.sources`. row: int64 [n_rows], dataset row number. offsets: int64
    [n_rows + 1], first position of each row if all positions are counted through. label: int32 [n_rows], index into
    `LatentCache.classes`, -1 without a label.
    """

    source: np.ndarray
    row: np.ndarray
    offsets: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of valid positions of each row, int64 [n_rows]."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Activations:
    """Where one latent is active: n activations, ordered by row and position.

    index: int64 [n], row as index into `LatentCache.rows`. position: int64 [n], position among the row's valid ones.
    value: float32 [n], all > 0. source: int32 [n], index into `LatentCache.sources`. row: int64 [n], dataset row
    number.
    """

    index: np.ndarray
    position: np.ndarray
    value: np.ndarray
    source: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def active_rows(self) -> np.ndarray:
        """Indices of the rows in which it is active, ascending, int64."""
        return np.unique(self.index)

    @cached_property
    def strongest(self) -> np.ndarray:
        """For each of `active_rows`, its largest activation (the first of equals), as index into the arrays."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        starts = np.flatnonzero(np.concatenate([[True], self.index[1:] != self.index[:-1]]))
        peaks = np.maximum.reduceat(self.value, starts)
        at_peak = np.flatnonzero(self.value == np.repeat(peaks, np.diff([*starts, len(self)])))
        found: np.ndarray = at_peak[np.searchsorted(at_peak, starts)]
        return found


class LatentCache:
    """Activations of one SAE over the rows of one or several sources; see `build_cache`.

    Raises StoreError when the cache is missing, incomplete or unreadable.
    """

    def __init__(self, folder: Path, record: CacheRecord) -> None:
        """folder, record: of a complete cache; use `open`."""
        self.folder = folder
        self.d_sae = record.d_sae
        self.sources: tuple[str, ...] = tuple(record.settings["sources"])
        """Names of the sources."""
        latents = record.settings["latents"]
        self.latents: np.ndarray | None = None if latents is None else np.asarray(latents, dtype=np.int64)
        """Latents whose activations are kept, ascending; None: all."""
        self._record = record
        self._segments = [Segment(folder, segment) for segment in record.segments]

    @classmethod
    def open(cls, folder: Path | str) -> LatentCache:
        """Open a complete cache. Sizes of the files are checked, their hashes only by `build_cache`."""
        folder = Path(folder)
        record = CacheRecord.load(folder)
        if record is None or not record.complete:
            state = "holds no latent cache" if record is None else "holds an unfinished latent cache"
            raise StoreError(f"{folder} {state} ({RECORD}): build it with build_cache, or run `saefari explain`")
        return cls(folder, record)

    @property
    def n_positions(self) -> int:
        """Positions of all rows."""
        return sum(segment.positions for segment in self._record.segments)

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of positions at which each latent is active, int64 [d_sae], for all latents."""
        return self._sum("counts")

    @cached_property
    def row_counts(self) -> np.ndarray:
        """Number of rows in which each latent is active, int64 [d_sae], for all latents."""
        return self._sum("row_counts")

    @property
    def density(self) -> np.ndarray:
        """Share of positions at which each latent is active, float64 [d_sae]."""
        return self.counts / max(self.n_positions, 1)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Classes of the rows, sorted."""
        return tuple(sorted({name for segment in self._segments for name in segment.classes}))

    @cached_property
    def rows(self) -> Rows:
        """All rows."""
        source, row, lengths, label = [], [], [], []
        for record, segment in zip(self._record.segments, self._segments, strict=True):
            source.append(np.full(record.rows, self.sources.index(record.source), dtype=np.int32))
            row.append(segment.array("rows"))
            lengths.append(np.diff(segment.array("offsets")))
            number = np.asarray([self.classes.index(name) for name in segment.classes] + [-1], dtype=np.int32)
            label.append(number[segment.array("labels")])  # -1 is the last
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        return Rows(np.concatenate(source), np.concatenate(row), offsets, np.concatenate(label))

    @cached_property
    def is_kept(self) -> np.ndarray:
        """Whether the activations of each latent are kept, bool [d_sae]."""
        kept = np.full(self.d_sae, self.latents is None)
        kept[[] if self.latents is None else self.latents] = True
        return kept

    def iter_active(self) -> Iterator[sparse.csc_array]:
        """Yield for each segment where the kept latents are active, int32 [n_positions, d_sae] of ones."""
        for segment in self._segments:
            yield segment.to_csc().astype(bool).astype(np.int32)

    def of(self, latent: int) -> Activations:
        """Return where a latent is active. Raises SaeError if the cache does not keep this latent."""
        self._check(latent)
        start, parts = 0, []
        for record, segment in zip(self._record.segments, self._segments, strict=True):
            positions, values = segment.activations(latent)
            parts.append((positions + start, values))
            start += record.positions
        flat = np.concatenate([positions for positions, _ in parts])
        index = np.searchsorted(self.rows.offsets, flat, side="right") - 1
        return Activations(
            index,
            flat - self.rows.offsets[index],
            np.concatenate([values for _, values in parts]),
            self.rows.source[index],
            self.rows.row[index],
        )

    def class_rows(self, activations: Activations) -> dict[str, tuple[int, int]]:
        """Return class -> (rows in which the latent is active, rows of the class); empty without labels."""
        n = len(self.classes)
        active = np.bincount(self.rows.label[activations.active_rows] + 1, minlength=n + 1)[1:]
        return {name: (int(a), int(b)) for name, a, b in zip(self.classes, active, self._rows_per_class, strict=True)}

    def too_few(self, latents: Iterable[int], min_rows: int) -> list[tuple[int, int]]:
        """Return (latent, rows in which it is active) of the given latents active in fewer than `min_rows` rows."""
        return [(int(latent), int(n)) for latent in latents if (n := self.row_counts[latent]) < min_rows]

    @cached_property
    def _rows_per_class(self) -> np.ndarray:
        counts: np.ndarray = np.bincount(self.rows.label + 1, minlength=len(self.classes) + 1)[1:]
        return counts

    def _sum(self, name: str) -> np.ndarray:
        total = np.zeros(self.d_sae, dtype=np.int64)
        for segment in self._segments:
            total += segment.array(name)
        return total

    def _check(self, latent: int) -> None:
        if not 0 <= latent < self.d_sae:
            raise SaeError(f"latent {latent} does not exist: the SAE has latents 0 to {self.d_sae - 1}")
        if not self.is_kept[latent]:
            raise SaeError(f"latent {latent} is not among the {self.is_kept.sum()} latents kept in {self.folder}")
