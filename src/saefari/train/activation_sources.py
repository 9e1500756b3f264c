"""Sources of training activations: a model's forward passes, or stored positions.

Shapes: n positions, d the length of a hook point's vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from saefari.errors import SaeError
from saefari.models.forward import Forward, Row
from saefari.models.hooks import HookPoint
from saefari.store import HiddenShard, hidden_folder, iter_hidden_positions
from saefari.train.training_rows import RowPlan, StoredRows

Block = dict[HookPoint, torch.Tensor]
"""Float32 hidden states [n, d] per hook point, at the same positions."""

WINDOW_BATCHES = 4
"""Number of batches whose rows are sorted by length together, to reduce padding."""
STORED_BLOCK = 8192
"""Stored positions converted to float32 at a time."""


class Cursor(NamedTuple):
    """A position in the stream: the epoch, and the rows consumed in it."""

    epoch: int = 0
    rows: int = 0


class StoredRow(Protocol):
    """A row of the training data with its valid positions."""

    @property
    def valid(self) -> np.ndarray: ...


class Rows(Protocol):
    """Interface of the training rows of an epoch and the held-out rows."""

    def training(self, epoch: int) -> Iterator[StoredRow]: ...
    def held_out(self) -> Iterator[StoredRow]: ...


class ActivationSource(Protocol):
    """Interface of an endless stream of training activations, with held-out ones."""

    @property
    def rows(self) -> Rows:
        """Rows that the activations belong to."""

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        """Yield blocks from a cursor on, each with the cursor after it. Raises SaeError if there are no positions."""

    def held_out(self) -> Iterator[Block]:
        """Yield activations of rows that `blocks` never yields."""

    def positions(self, limit: int) -> int:
        """Count the positions of one epoch, stopping at `limit`."""


@dataclass(frozen=True)
class ModelActivations:
    """Activations from forward passes over rows; one pass serves all hook points."""

    forward: Forward
    rows: Rows
    hooks: Sequence[HookPoint]
    load: Callable[[Iterator[Any]], Iterator[Row]] = iter
    """Turns rows into model inputs, in order: reads the pixels of images; tokens need nothing."""

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        """Yield a block per window of rows; see ActivationSource."""
        epoch, taken = start
        while True:
            rows = self.load(islice(_with_positions(self.rows.training(epoch)), taken, None))
            while window := _window(rows, WINDOW_BATCHES * self.forward.max_tokens):
                taken += len(window)
                yield self._states(window), Cursor(epoch, taken)
            if not taken:
                raise _no_positions()
            epoch, taken = epoch + 1, 0

    def held_out(self) -> Iterator[Block]:
        """See ActivationSource."""
        rows = self.load(_with_positions(self.rows.held_out()))
        while window := _window(rows, WINDOW_BATCHES * self.forward.max_tokens):
            yield self._states(window)

    def positions(self, limit: int) -> int:
        """See ActivationSource; does not run the model."""
        return _count(self.rows, limit)

    def _states(self, window: Sequence[Row]) -> Block:
        parts = [states for _, _, states in self.forward(window, self.hooks)]
        return {hook: torch.cat([part[hook] for part in parts]) for hook in self.hooks}


@dataclass(frozen=True)
class StoredActivations:
    """Activations stored in float16 by an `act_only` extraction; does not run the model.

    plan: the training rows of each samples folder, and their order.
    """

    plan: RowPlan
    hooks: Sequence[HookPoint]
    device: torch.device

    @property
    def rows(self) -> StoredRows:
        """See ActivationSource."""
        return StoredRows(self.plan)

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        """Yield blocks of about `STORED_BLOCK` positions in whole rows; see ActivationSource."""
        epoch, taken = start
        while True:
            skip = taken
            for folder, shard, rows in self.plan.order(epoch):
                wanted, skip = rows[skip:], max(0, skip - len(rows))
                for part, block in self._blocks(folder, shard, wanted):
                    taken += part
                    if len(next(iter(block.values()))):
                        yield block, Cursor(epoch, taken)
            if not self.positions(1):
                raise _no_positions()
            epoch, taken = epoch + 1, 0

    def held_out(self) -> Iterator[Block]:
        """See ActivationSource."""
        for folder, shard, rows in self.plan.held_out():
            for _, block in self._blocks(folder, shard, rows):
                yield block

    def positions(self, limit: int) -> int:
        """See ActivationSource."""
        return _count(self.rows, limit)

    def _blocks(self, folder: Path, shard: int, rows: np.ndarray) -> Iterator[tuple[int, Block]]:
        """Yield (number of rows, their block) of one shard in the given order, a few rows at a time."""
        if not len(rows):
            return
        shards = {hook: self._shard(folder, shard, hook) for hook in self.hooks}
        offsets = shards[self.hooks[0]].offsets
        lengths = np.diff(offsets)[rows]
        groups = (np.cumsum(lengths) - lengths) // STORED_BLOCK
        for group in np.unique(groups):
            chosen = rows[groups == group]
            indices = np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in chosen])
            yield len(chosen), {hook: self._states(stored.positions, indices) for hook, stored in shards.items()}

    def _shard(self, folder: Path, shard: int, hook: HookPoint) -> HiddenShard:
        return next(iter_hidden_positions(hidden_folder(folder, hook.layer), [shard]))

    def _states(self, positions: np.ndarray, indices: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(positions[indices]).to(self.device).float()


def _with_positions(rows: Iterator[StoredRow]) -> Iterator[StoredRow]:
    return (row for row in rows if len(row.valid))


def _window(rows: Iterator[Row], n_tokens: int) -> list[Row]:
    """Return the next rows with at least `n_tokens` tokens in total."""
    window: list[Row] = []
    total = 0
    for row in rows:
        window.append(row)
        total += row.length
        if total >= n_tokens:
            break
    return window


def _count(rows: Rows, limit: int) -> int:
    """Count the positions of one epoch, stopping at `limit`."""
    total = 0
    for row in rows.training(0):
        total += len(row.valid)
        if total >= limit:
            break
    return total


def _no_positions() -> SaeError:
    return SaeError("no SAE can be trained: no training row has a valid position")
