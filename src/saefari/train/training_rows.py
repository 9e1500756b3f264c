"""Which stored rows an SAE is trained on, in which order, and which are held out to measure it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, starmap
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from saefari.models.forward import Row
from saefari.models.image_loader import ImageAndText, ImageLoader, Images
from saefari.store import ImageRow, TokenisedRow, iter_image_rows, iter_token_rows, shard_ranges

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


R = TypeVar("R", TokenisedRow, ImageRow)


@dataclass(frozen=True)
class StoredRows:
    """The tokenised texts of a plan's rows; one shard in memory at a time."""

    plan: RowPlan

    def training(self, epoch: int) -> Iterator[TokenisedRow]:
        """One pass over the training rows."""
        return (row for _, row in _read(list(self.plan.order(epoch)), iter_token_rows))

    def held_out(self) -> Iterator[TokenisedRow]:
        """The rows that are held out."""
        return (row for _, row in _read(list(self.plan.held_out()), iter_token_rows))


class FolderRow(NamedTuple):
    """A row whose image is not read yet, and the samples folder that it is of."""

    folder: Path
    stored: ImageRow

    @property
    def valid(self) -> np.ndarray:
        """int32 [m]: the positions that count."""
        return self.stored.valid


@dataclass(frozen=True)
class StoredImages:
    """The rows of a plan whose images are still to be read.

    images: of each samples folder.
    """

    plan: RowPlan
    images: Mapping[Path, Images]
    loader: ImageLoader

    def training(self, epoch: int) -> Iterator[FolderRow]:
        """One pass over the training rows."""
        return starmap(FolderRow, _read(list(self.plan.order(epoch)), iter_image_rows))

    def held_out(self) -> Iterator[FolderRow]:
        """The rows that are held out."""
        return starmap(FolderRow, _read(list(self.plan.held_out()), iter_image_rows))

    def load(self, rows: Iterator[FolderRow]) -> Iterator[Row]:
        """The rows with their pixels, in order, read by worker processes that run ahead."""
        return self.loader.load(self._found(rows))

    def _found(self, rows: Iterator[FolderRow]) -> Iterator[tuple[ImageRow, ImageAndText]]:
        for folder, group in groupby(rows, attrgetter("folder")):
            yield from self.images[folder].of(row.stored for row in group)


def _read(
    pieces: list[Piece], read: Callable[[Path, list[int]], Iterator[tuple[int, list[R]]]]
) -> Iterator[tuple[Path, R]]:
    """(folder, row) of every row of the pieces. Every file is opened once, whatever the order of the pieces."""
    readers = {
        folder: read(folder, [shard for place, shard, _ in pieces if place == folder])
        for folder in dict.fromkeys(place for place, _, _ in pieces)
    }
    for folder, _, chosen in pieces:
        _, rows = next(readers[folder])
        yield from ((folder, rows[row]) for row in chosen)
