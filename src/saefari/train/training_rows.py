"""Training rows of SAEs: their order, and the rows held out for evaluation."""

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
MAX_HELD_OUT = 1000
"""Maximum held-out rows, over all datasets."""

Piece = tuple[Path, int, np.ndarray]
"""Samples folder, shard, and int64 row indices in the shard, in order of use."""


@dataclass(frozen=True)
class RowPlan:
    """The training rows of dataset splits, and those held out of them.

    splits: samples folder -> part of each row, int8 [n_rows], 0 = train. Test rows are never used.
    """

    splits: Mapping[Path, np.ndarray]
    seed: int

    def order(self, epoch: int) -> Iterator[Piece]:
        """Yield the training rows of an epoch shard by shard, in a seeded order that mixes datasets and classes."""
        generator = np.random.default_rng([self.seed, epoch])
        pieces = [
            (folder, shard, np.flatnonzero((parts[slice(*span)] == 0) & ~self._held_out_masks[folder][slice(*span)]))
            for folder, parts in self.splits.items()
            for shard, span in enumerate(shard_ranges(len(parts)))
        ]
        for i in generator.permutation(len(pieces)):
            folder, shard, rows = pieces[i]
            yield folder, shard, generator.permutation(rows)

    def held_out(self) -> Iterator[Piece]:
        """Yield the held-out rows in dataset order."""
        for folder, mask in self._held_out_masks.items():
            for shard, span in enumerate(shard_ranges(len(mask))):
                rows = np.flatnonzero(mask[slice(*span)])
                if len(rows):
                    yield folder, shard, rows

    @cached_property
    def _held_out_masks(self) -> dict[Path, np.ndarray]:
        """bool [n_rows] per folder: a seeded tenth of its training rows, at most its share of `MAX_HELD_OUT`."""
        generator = np.random.default_rng(self.seed)
        total = sum(int((parts == 0).sum()) for parts in self.splits.values())
        share = min(HELD_OUT_SHARE, MAX_HELD_OUT / max(total, 1))
        masks = {}
        for folder, parts in self.splits.items():
            training = np.flatnonzero(parts == 0)
            masks[folder] = np.zeros(len(parts), dtype=bool)
            masks[folder][generator.permutation(training)[: round(share * len(training))]] = True
        return masks


R = TypeVar("R", TokenisedRow, ImageRow)


@dataclass(frozen=True)
class StoredRows:
    """The tokenised texts of a plan; one shard per folder in memory at a time."""

    plan: RowPlan

    def training(self, epoch: int) -> Iterator[TokenisedRow]:
        """Yield the training rows of an epoch."""
        return (row for _, row in _read(list(self.plan.order(epoch)), iter_token_rows))

    def held_out(self) -> Iterator[TokenisedRow]:
        """Yield the held-out rows."""
        return (row for _, row in _read(list(self.plan.held_out()), iter_token_rows))


class FolderRow(NamedTuple):
    """A row whose image is not read yet, with its samples folder."""

    folder: Path
    stored: ImageRow

    @property
    def valid(self) -> np.ndarray:
        """int32 [m]: the positions that count."""
        return self.stored.valid


@dataclass(frozen=True)
class StoredImages:
    """The rows of a plan whose images are not read yet.

    images: per samples folder.
    """

    plan: RowPlan
    images: Mapping[Path, Images]
    loader: ImageLoader

    def training(self, epoch: int) -> Iterator[FolderRow]:
        """Yield the training rows of an epoch."""
        return starmap(FolderRow, _read(list(self.plan.order(epoch)), iter_image_rows))

    def held_out(self) -> Iterator[FolderRow]:
        """Yield the held-out rows."""
        return starmap(FolderRow, _read(list(self.plan.held_out()), iter_image_rows))

    def load(self, rows: Iterator[FolderRow]) -> Iterator[Row]:
        """Yield the rows with their pixels, in order, read ahead by worker processes."""
        return self.loader.load(self._with_images(rows))

    def _with_images(self, rows: Iterator[FolderRow]) -> Iterator[tuple[ImageRow, ImageAndText]]:
        for folder, group in groupby(rows, attrgetter("folder")):
            yield from self.images[folder].of(row.stored for row in group)


def _read(
    pieces: list[Piece], read: Callable[[Path, list[int]], Iterator[tuple[int, list[R]]]]
) -> Iterator[tuple[Path, R]]:
    """Yield (folder, row) for every row of the pieces; opens each file once, in any order of the pieces."""
    readers = {
        folder: read(folder, [shard for other, shard, _ in pieces if other == folder])
        for folder in dict.fromkeys(folder for folder, _, _ in pieces)
    }
    for folder, _, chosen in pieces:
        _, rows = next(readers[folder])
        yield from ((folder, rows[row]) for row in chosen)
