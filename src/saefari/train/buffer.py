"""A bounded shuffle buffer over a stream of activations, which can be saved and restored.

Shapes: n positions, d the length of a hook point's vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from saefari.models.hooks import HookPoint
from saefari.train.activation_sources import ActivationSource, Block, Cursor

_BUFFER_KEY, _PENDING_KEY = "room/", "waiting/"


class ShuffleBuffer:
    """Draws `total` positions of a source in batches, each from at most `size` positions in memory.

    A batch is drawn without replacement from the whole buffer, and the next positions of the stream fill its slots.
    So only the batch is copied, every position of an epoch is drawn exactly once, and at most `total` positions are
    taken from the source. The order depends on the seed only.
    """

    def __init__(self, source: ActivationSource, size: int, batch_size: int, total: int, seed: int) -> None:
        """total: a multiple of batch_size; size: at least batch_size."""
        self._source = source
        self._batch_size = batch_size
        self._random = np.random.default_rng(seed)
        self._size = min(size, total)
        self._remaining = total
        self._buffer: Block = {}
        self._pending: Block = {}
        self._cursor = Cursor()
        self._stream = source.blocks(self._cursor)

    def draw(self) -> Block:
        """Draw the next batch, [batch_size, d] per hook point."""
        if not self._buffer:
            self._fill(np.arange(self._size))
        chosen = self._random.choice(self._size, self._batch_size, replace=False, shuffle=False)
        batch = {hook: buffer[_index(chosen, buffer)] for hook, buffer in self._buffer.items()}
        self._shrink(self._fill(chosen))
        return batch

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the state that determines the next draws: tensors and JSON-able values."""
        tensors = {_BUFFER_KEY + hook.name: buffer[: self._size].contiguous() for hook, buffer in self._buffer.items()}
        tensors |= {_PENDING_KEY + hook.name: pending.contiguous() for hook, pending in self._pending.items()}
        random = self._random.bit_generator.state
        return tensors, {"random": random, "size": self._size, "to_come": self._remaining, "cursor": list(self._cursor)}

    @property
    def lengths(self) -> dict[HookPoint, int]:
        """d of every hook point; empty before the first draw or restore."""
        return {hook: buffer.shape[1] for hook, buffer in self._buffer.items()}

    def restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any], device: torch.device) -> None:
        """Restore a `state`, with a source over the same data."""
        self._random.bit_generator.state = state["random"]
        self._size, self._remaining, self._cursor = state["size"], state["to_come"], Cursor(*state["cursor"])
        self._stream = self._source.blocks(self._cursor)
        self._buffer, self._pending = (
            {
                HookPoint.parse(key.removeprefix(name)): x.to(device)
                for key, x in tensors.items()
                if key.startswith(name)
            }
            for name in (_BUFFER_KEY, _PENDING_KEY)
        )

    def _fill(self, slots: np.ndarray) -> np.ndarray:
        """Fill slots with the stream's next positions; return the slots that remain empty at its end."""
        while len(slots) and self._remaining:
            pending = self._next_pending()
            n = min(len(slots), len(next(iter(pending.values()))), self._remaining)
            for hook, states in pending.items():
                buffer = self._buffer.setdefault(hook, states.new_empty(self._size, states.shape[1]))
                buffer[_index(slots[:n], buffer)] = states[:n]
            self._pending = {hook: states[n:] for hook, states in pending.items()}
            self._remaining -= n
            slots = slots[n:]
        return slots

    def _next_pending(self) -> Block:
        """Return positions, at least one, that were read from the source but are not in the buffer yet."""
        while not self._pending or not len(next(iter(self._pending.values()))):
            self._pending, self._cursor = next(self._stream)
        return self._pending

    def _shrink(self, slots: np.ndarray) -> None:
        """Shrink the buffer by its empty slots; move positions after the new end into slots before it."""
        end = self._size - len(slots)
        moving = np.setdiff1d(np.arange(end, self._size), slots)
        into = slots[slots < end]
        for buffer in self._buffer.values():
            buffer[_index(into, buffer)] = buffer[_index(moving, buffer)]
        self._size = end


def _index(slots: np.ndarray, buffer: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(slots).to(buffer.device)
