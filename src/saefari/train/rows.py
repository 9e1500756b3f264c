"""Which stored rows an SAE is trained on, in which order, and which are held out to measure it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from saefari.store import TokenisedRow, iter_token_rows, shard_ranges

HELD_OUT_SHARE = 0.1
MOST_HELD_OUT = 1000
"""Rows of all datasets together that are held out at most."""

Piece = tuple[Path, int, np.ndarray]
"""Samples folder, shard, and int64 rows in that shard, in the order of their use."""


@dataclass(frozen=True)
class RowPlan:
    """The training rows of dataset splits, less those that are held out.

    splits: samples folder -> the side of each row, int8 [n_rows], 0 = train. Test rows are never touched.
    """

    splits: Mapping[Path, np.ndarray]
    seed: int

    def order(self, epoch: int) -> Iterator[Piece]:
        """One pass over the training rows in a seeded order that mixes datasets and classes, shard by shard."""
        generator = np.random.default_rng([self.seed, epoch])
        pieces = [
            (folder, shard, np.flatnonzero((parts[slice(*span)] == 0) & ~self._kept_back[folder][slice(*span)]))
            for folder, parts in self.splits.items()
            for shard, span in enumerate(shard_ranges(len(parts)))
        ]
        for i in generator.permutation(len(pieces)):
            folder, shard, rows = pieces[i]
            yield folder, shard, generator.permutation(rows)

    def held_out(self) -> Iterator[Piece]:
        """The rows that are held out, in their own order."""
        for folder, kept in self._kept_back.items():
            for shard, span in enumerate(shard_ranges(len(kept))):
                rows = np.flatnonzero(kept[slice(*span)])
                if len(rows):
                    yield folder, shard, rows

    @cached_property
    def _kept_back(self) -> dict[Path, np.ndarray]:
        """bool [n_rows] of each folder: a seeded tenth of its training rows, or its share of `MOST_HELD_OUT`."""
        generator = np.random.default_rng(self.seed)
        total = sum(int((parts == 0).sum()) for parts in self.splits.values())
        share = min(HELD_OUT_SHARE, MOST_HELD_OUT / max(total, 1))
        kept = {}
        for folder, parts in self.splits.items():
            training = np.flatnonzero(parts == 0)
            kept[folder] = np.zeros(len(parts), dtype=bool)
            kept[folder][generator.permutation(training)[: round(share * len(training))]] = True
        return kept


@dataclass(frozen=True)
class StoredRows:
    """The tokenised texts of a plan's rows; one shard in memory at a time."""

    plan: RowPlan

    def training(self, epoch: int) -> Iterator[TokenisedRow]:
        """One pass over the training rows."""
        return self._read(list(self.plan.order(epoch)))

    def held_out(self) -> Iterator[TokenisedRow]:
        """The rows that are held out."""
        return self._read(list(self.plan.held_out()))

    def _read(self, pieces: list[Piece]) -> Iterator[TokenisedRow]:
        """Every file is opened once, whatever the order of the pieces."""
        readers = {
            folder: iter_token_rows(folder, [shard for place, shard, _ in pieces if place == folder])
            for folder in self.plan.splits
        }
        for folder, _, chosen in pieces:
            _, rows = next(readers[folder])
            yield from (rows[row] for row in chosen)
