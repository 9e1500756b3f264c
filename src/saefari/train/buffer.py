"""A bounded buffer that mixes a stream of activations, and can be taken up again where it was left.

Shapes: n positions, d the length of a hook point's vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from saefari.models.hooks import HookPoint
from saefari.train.activation_sources import Block, Cursor, Source

_ROOM, _WAITING = "room/", "waiting/"


class ShuffleBuffer:
    """Gives `total` positions of a source in batches, each drawn from at most `size` positions in memory.

    A batch is drawn without replacement from the whole buffer, and the next positions of the stream take the places
    that it leaves. So nothing is copied but the batch, every position of a pass comes exactly once, and no more than
    `total` are ever asked of the source. What is drawn depends on the seed alone.
    """

    def __init__(self, source: Source, size: int, batch_size: int, total: int, seed: int) -> None:
        """total: a multiple of batch_size; size: at least batch_size."""
        self._source = source
        self._batch_size = batch_size
        self._random = np.random.default_rng(seed)
        self._size = min(size, total)
        self._to_come = total
        self._room: Block = {}
        self._waiting: Block = {}
        self._cursor = Cursor()
        self._stream = source.blocks(self._cursor)

    def draw(self) -> Block:
        """The next batch, [batch_size, d] for every hook point."""
        if not self._room:
            self._fill(np.arange(self._size))
        chosen = self._random.choice(self._size, self._batch_size, replace=False, shuffle=False)
        batch = {hook: room[_index(chosen, room)] for hook, room in self._room.items()}
        self._close(self._fill(chosen))
        return batch

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything that the next draws depend on: tensors, and what JSON holds."""
        tensors = {_ROOM + hook.name: room[: self._size].contiguous() for hook, room in self._room.items()}
        tensors |= {_WAITING + hook.name: waiting.contiguous() for hook, waiting in self._waiting.items()}
        random = self._random.bit_generator.state
        return tensors, {"random": random, "size": self._size, "to_come": self._to_come, "cursor": list(self._cursor)}

    @property
    def lengths(self) -> dict[HookPoint, int]:
        """d of every hook point, once something was drawn or restored."""
        return {hook: room.shape[1] for hook, room in self._room.items()}

    def restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any], device: torch.device) -> None:
        """Go on from what `state` gave, with a source over the same data."""
        self._random.bit_generator.state = state["random"]
        self._size, self._to_come, self._cursor = state["size"], state["to_come"], Cursor(*state["cursor"])
        self._stream = self._source.blocks(self._cursor)
        self._room, self._waiting = (
            {
                HookPoint.parse(key.removeprefix(name)): x.to(device)
                for key, x in tensors.items()
                if key.startswith(name)
            }
            for name in (_ROOM, _WAITING)
        )

    def _fill(self, places: np.ndarray) -> np.ndarray:
        """Put the stream's next positions into these places; returns the places that it had none for."""
        while len(places) and self._to_come:
            waiting = self._next_waiting()
            n = min(len(places), len(next(iter(waiting.values()))), self._to_come)
            for hook, states in waiting.items():
                room = self._room.setdefault(hook, states.new_empty(self._size, states.shape[1]))
                room[_index(places[:n], room)] = states[:n]
            self._waiting = {hook: states[n:] for hook, states in waiting.items()}
            self._to_come -= n
            places = places[n:]
        return places

    def _next_waiting(self) -> Block:
        """Positions that came from the source and are not in the buffer yet: at least one."""
        while not self._waiting or not len(next(iter(self._waiting.values()))):
            self._waiting, self._cursor = next(self._stream)
        return self._waiting

    def _close(self, places: np.ndarray) -> None:
        """Shrink the buffer by the empty places: what lies behind its new end moves into those before it."""
        end = self._size - len(places)
        moving = np.setdiff1d(np.arange(end, self._size), places)
        into = places[places < end]
        for room in self._room.values():
            room[_index(into, room)] = room[_index(moving, room)]
        self._size = end


def _index(places: np.ndarray, room: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(places).to(room.device)
