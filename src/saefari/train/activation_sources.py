"""Where training activations come from: a model's forward passes, or positions that were stored before.

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
"""Float32 hidden states [n, d] of every hook point, all of the same positions."""

WINDOW_BATCHES = 4
"""Batches whose texts are sorted by length together, so that little padding is computed."""
STORED_BLOCK = 8192
"""Stored positions that are made float32 at a time."""


class Cursor(NamedTuple):
    """A place in the stream: rows that were taken in this pass over the data."""

    epoch: int = 0
    rows: int = 0


class StoredRow(Protocol):
    """A row of the training data, of which it is known what counts."""

    @property
    def valid(self) -> np.ndarray: ...


class Rows(Protocol):
    """The rows of a pass over the training data, and those that are held out."""

    def training(self, epoch: int) -> Iterator[StoredRow]: ...
    def held_out(self) -> Iterator[StoredRow]: ...


class Source(Protocol):
    """An endless stream of training activations, and those that are held out from it."""

    @property
    def rows(self) -> Rows:
        """The texts that the activations are of."""

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        """Blocks from a place on, each with the place after it. Raises SaeError where there is nothing."""

    def held_out(self) -> Iterator[Block]:
        """Activations of rows that `blocks` never gives."""

    def positions(self, enough: int) -> int:
        """Positions of one pass, counted no further than `enough`."""


@dataclass(frozen=True)
class FromModel:
    """Forward passes over rows; one pass gives all hook points."""

    forward: Forward
    rows: Rows
    hooks: Sequence[HookPoint]
    load: Callable[[Iterator[Any]], Iterator[Row]] = iter
    """Makes of the rows what the model is given, in order: nothing where they are tokens, pixels of images."""

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        """A block per window of rows; see Source."""
        epoch, taken = start
        while True:
            rows = self.load(islice(_usable(self.rows.training(epoch)), taken, None))
            while window := _window(rows, WINDOW_BATCHES * self.forward.max_tokens):
                taken += len(window)
                yield self._states(window), Cursor(epoch, taken)
            if not taken:
                raise _nothing()
            epoch, taken = epoch + 1, 0

    def held_out(self) -> Iterator[Block]:
        """See Source."""
        rows = self.load(_usable(self.rows.held_out()))
        while window := _window(rows, WINDOW_BATCHES * self.forward.max_tokens):
            yield self._states(window)

    def positions(self, enough: int) -> int:
        """See Source; the model does not run."""
        return _count(self.rows, enough)

    def _states(self, window: Sequence[Row]) -> Block:
        parts = [states for _, _, states in self.forward(window, self.hooks)]
        return {hook: torch.cat([part[hook] for part in parts]) for hook in self.hooks}


@dataclass(frozen=True)
class FromStore:
    """Positions that an `act_only` extraction stored (float16); the model does not run.

    plan: which rows of each samples folder train, and in which order.
    """

    plan: RowPlan
    hooks: Sequence[HookPoint]
    device: torch.device

    @property
    def rows(self) -> StoredRows:
        """See Source."""
        return StoredRows(self.plan)

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        """A block of up to `STORED_BLOCK` positions and a row; see Source."""
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
                raise _nothing()
            epoch, taken = epoch + 1, 0

    def held_out(self) -> Iterator[Block]:
        """See Source."""
        for folder, shard, rows in self.plan.held_out():
            for _, block in self._blocks(folder, shard, rows):
                yield block

    def positions(self, enough: int) -> int:
        """See Source."""
        return _count(self.rows, enough)

    def _blocks(self, folder: Path, shard: int, rows: np.ndarray) -> Iterator[tuple[int, Block]]:
        """(rows, their positions) of one shard, in the order asked for, a few rows at a time."""
        if not len(rows):
            return
        shards = {hook: self._shard(folder, shard, hook) for hook in self.hooks}
        offsets = shards[self.hooks[0]].offsets
        lengths = np.diff(offsets)[rows]
        groups = (np.cumsum(lengths) - lengths) // STORED_BLOCK
        for group in np.unique(groups):
            chosen = rows[groups == group]
            places = np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in chosen])
            yield len(chosen), {hook: self._states(stored.positions, places) for hook, stored in shards.items()}

    def _shard(self, folder: Path, shard: int, hook: HookPoint) -> HiddenShard:
        return next(iter_hidden_positions(hidden_folder(folder, hook.layer), [shard]))

    def _states(self, positions: np.ndarray, places: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(positions[places]).to(self.device).float()


def _usable(rows: Iterator[StoredRow]) -> Iterator[StoredRow]:
    return (row for row in rows if len(row.valid))


def _window(rows: Iterator[Row], n_tokens: int) -> list[Row]:
    """The next texts, until they hold `n_tokens` tokens."""
    window: list[Row] = []
    total = 0
    for row in rows:
        window.append(row)
        total += row.length
        if total >= n_tokens:
            break
    return window


def _count(rows: Rows, enough: int) -> int:
    """Positions of one pass, counted no further than `enough`."""
    total = 0
    for row in rows.training(0):
        total += len(row.valid)
        if total >= enough:
            break
    return total


def _nothing() -> SaeError:
    return SaeError("there is nothing to train an SAE on: no training row holds a valid token")
