"""Windows of consecutive positions around an activation, and windows in which a latent is inactive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saefari.config.explanation import Sampling
from saefari.interp.cache.latent_cache import LatentCache
from saefari.interp.contexts.rows import TokenRows


@dataclass(frozen=True)
class Windows:
    """How windows are cut out of rows.

    size: positions per window; shorter only where the row or, for fixed windows, its rest is shorter. None: the whole
    row, as for images. centred: the window is centred on a position and shifted where it would leave the row; otherwise
    rows are divided into consecutive windows.
    """

    size: int | None
    centred: bool = True

    def around(self, position: int, length: int) -> tuple[int, int]:
        """Return [start, stop) of the window that shows a position of a row of `length` positions."""
        if self.size is None:
            return 0, length
        if self.centred:
            start = min(max(position - self.size // 2, 0), max(length - self.size, 0))
        else:
            start = position - position % self.size
        return start, min(start + self.size, length)

    def starts(self, length: int) -> np.ndarray:
        """Return the starts of all windows of a row, int64, ascending; none for an empty row."""
        if length == 0:
            return np.zeros(0, dtype=np.int64)
        if self.size is None:
            return np.zeros(1, dtype=np.int64)
        return np.arange(0, max(length - self.size, 0) + 1) if self.centred else np.arange(0, length, self.size)

    def any(self, length: int, generator: np.random.Generator) -> tuple[int, int]:
        """Return [start, stop) of a random window of a row that has positions."""
        starts = self.starts(length)
        start = int(starts[generator.integers(len(starts))])
        return start, length if self.size is None else min(start + self.size, length)

    def inactive(self, length: int, active: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return (start, stop) of all windows of a row without an active position, int64 [n, 2].

        active: int, ascending.
        """
        starts = self.starts(length)
        stops = np.minimum(starts + (length if self.size is None else self.size), length)
        free = np.searchsorted(active, starts) == np.searchsorted(active, stops)
        return np.stack([starts[free], stops[free]], axis=1)


def windows_by_source(cache: LatentCache, sampling: Sampling, rows: Mapping[str, TokenRows]) -> list[Windows]:
    """Return how windows are cut out of the rows of each source: whole rows with images, else as `sampling` says."""
    return [Windows(None if rows[source].has_images else sampling.window, sampling.centred) for source in cache.sources]
