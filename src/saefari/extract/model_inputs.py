"""Model inputs of a shard's rows: stored tokens all at once, images a batch at a time as they are read."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from saefari.extract.job import ExtractJob
from saefari.models.batching import token_batches
from saefari.models.forward import Row
from saefari.models.image_loader import ImageLoader, Images
from saefari.store import ImageRow, TokenisedRow, iter_image_rows, iter_token_rows, read_split
from saefari.store.shards import SHARD_ROWS

R = TypeVar("R", TokenisedRow, ImageRow)
Window = tuple[np.ndarray, Sequence[Row]]
"""Indices in the shard of rows that are in memory together, and the rows."""

_ROWS_TO_CALIBRATE = 32  # images in memory at once


class Rows(Protocol):
    """The rows of a samples folder."""

    def windows(self, shards: Sequence[int]) -> Iterator[tuple[int, Iterator[Window]]]:
        """Yield (shard, its windows) in this order; consume all windows before advancing to the next shard."""

    def training(self, n_positions: int) -> Iterator[Sequence[Row]]:
        """Yield windows of the first training rows with at least `n_positions` positions in total."""


def rows_to_extract(job: ExtractJob) -> Rows:
    """Return the rows of the job's samples."""
    images = job.images
    return _rows(job, job.samples, images.samples if images else None)


def rows_to_calibrate(job: ExtractJob) -> Rows:
    """Return the rows of the calibration samples."""
    images = job.images
    return _rows(job, job.calibration, images.calibration if images else None)


def _rows(job: ExtractJob, folder: Path, images: Images | None) -> Rows:
    if images is None or job.images is None:
        return TextRows(folder)
    return ImageRows(folder, images, job.images.loader, job.max_tokens, job.max_sequences)


@dataclass(frozen=True)
class TextRows:
    """Texts with stored tokens; a shard is one window."""

    folder: Path

    def windows(self, shards: Sequence[int]) -> Iterator[tuple[int, Iterator[Window]]]:
        """See Rows."""
        for shard, rows in iter_token_rows(self.folder, shards):
            yield shard, iter([(np.arange(len(rows)), rows)])

    def training(self, n_positions: int) -> Iterator[Sequence[Row]]:
        """See Rows."""
        yield _first_training(self.folder, iter_token_rows(self.folder), n_positions)


@dataclass(frozen=True)
class ImageRows:
    """Images, read again by worker processes ahead of the model; longest rows first.

    A window is one batch, so that the model starts early and few images are in memory.
    """

    folder: Path
    images: Images
    loader: ImageLoader
    max_tokens: int
    max_sequences: int | None

    def windows(self, shards: Sequence[int]) -> Iterator[tuple[int, Iterator[Window]]]:
        """See Rows. Raises DataError if the dataset changed since the samples were made."""
        # Close explicitly: a kept exception would otherwise keep the worker processes alive.
        with closing(self._load(row for _, _, rows in self._sorted(shards) for row in rows)) as loaded:
            for shard, order, rows in self._sorted(shards):
                yield shard, self._windows(order, rows, loaded)

    def training(self, n_positions: int) -> Iterator[Sequence[Row]]:
        """See Rows."""
        rows = _first_training(self.folder, iter_image_rows(self.folder), n_positions)
        with closing(self._load(iter(rows))) as loaded:
            while window := list(islice(loaded, _ROWS_TO_CALIBRATE)):
                yield window

    def _windows(self, order: np.ndarray, rows: Sequence[ImageRow], loaded: Iterator[Row]) -> Iterator[Window]:
        lengths = np.asarray([row.length for row in rows])
        for batch in token_batches(lengths, self.max_tokens, self.max_sequences):
            yield order[batch], list(islice(loaded, len(batch)))

    def _sorted(self, shards: Sequence[int]) -> Iterator[tuple[int, np.ndarray, list[ImageRow]]]:
        """Yield (shard, indices of its rows, the rows), longest rows first."""
        for shard, rows in iter_image_rows(self.folder, shards):
            order = np.argsort([-row.length for row in rows], kind="stable")
            yield shard, order, [rows[i] for i in order]

    def _load(self, rows: Iterator[ImageRow]) -> Generator[Row]:
        return self.loader.load(self.images.of(rows))


def _first_training(folder: Path, shards: Iterator[tuple[int, list[R]]], n_positions: int) -> list[R]:
    training = read_split(folder) == 0
    chosen: list[R] = []
    total = 0
    for shard, rows in shards:
        for offset, row in enumerate(rows):
            if training[shard * SHARD_ROWS + offset] and total < n_positions:
                chosen.append(row)
                total += len(row.valid)
        if total >= n_positions:
            break
    return chosen
