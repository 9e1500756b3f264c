"""Order of rows that a model read in batches of similar length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class RowOrder:
    """Row numbers and position counts of collected batches, and the permutations into row order."""

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []

    def add(self, rows: np.ndarray, counts: np.ndarray) -> None:
        """Add a batch: row numbers [B] and number of positions of each row, int64 [B]."""
        self._rows.append(rows)
        self._counts.append(counts)

    def rows(self) -> np.ndarray:
        """Return indices that sort the rows, concatenated batch by batch, into row order."""
        order: np.ndarray = np.argsort(np.concatenate(self._rows), kind="stable")
        return order

    def offsets(self) -> np.ndarray:
        """Return the first position of each row in row order, int64 [n_rows + 1]."""
        counts = np.concatenate(self._counts)[self.rows()]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def positions(self) -> np.ndarray:
        """Return indices that sort the positions, concatenated batch by batch, into row order."""
        counts = np.concatenate(self._counts)
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        order = self.rows()
        offset_in_row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts[order]) - counts[order], counts[order])
        indices: np.ndarray = np.repeat(starts[order], counts[order]) + offset_in_row
        return indices

    def outliers(self, outlier_masks: Sequence[np.ndarray | None]) -> np.ndarray:
        """Return the outliers' ascending indices in row order; outlier_masks: per batch, None = no outliers."""
        if all(part is None for part in outlier_masks):
            return np.zeros(0, dtype=np.int64)
        sizes = [int(counts.sum()) for counts in self._counts]
        parts = [np.zeros(n, bool) if part is None else part for n, part in zip(sizes, outlier_masks, strict=True)]
        found: np.ndarray = np.flatnonzero(np.concatenate(parts)[self.positions()])
        return found
