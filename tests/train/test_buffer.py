"""The shuffle buffer: every position once, mixed, in bounded memory, resumable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saefari.models.hooks import HookPoint
from saefari.train.activation_sources import Block, Cursor
from saefari.train.buffer import ShuffleBuffer

HOOKS = [HookPoint(0, "resid_post"), HookPoint(1, "resid_post")]


class Numbers:
    """Positions 0, 1, 2 … in blocks of 7, negative at the second hook point; `asked` counts those yielded."""

    rows: Any = None

    def __init__(self, per_epoch: int = 10**6) -> None:
        self.per_epoch = per_epoch
        self.asked = 0

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        epoch, row = start
        while True:
            n = min(7, self.per_epoch - row)
            values = (torch.arange(row, row + n) + epoch * self.per_epoch).float()[:, None]
            row += n
            self.asked += n
            yield {HOOKS[0]: values, HOOKS[1]: -values.repeat(1, 2)}, Cursor(epoch, row)
            if row == self.per_epoch:
                epoch, row = epoch + 1, 0

    def held_out(self) -> Iterator[Block]:
        return iter(())

    def positions(self, enough: int) -> int:
        return min(enough, self.per_epoch)


def drawn(buffer: ShuffleBuffer, n: int) -> list[list[int]]:
    return [batch[HOOKS[0]][:, 0].int().tolist() for batch in (buffer.draw() for _ in range(n))]


@given(
    batch_size=st.integers(1, 20),
    more=st.integers(0, 60),
    n_batches=st.integers(1, 30),
    per_epoch=st.integers(5, 200),
)
def test_every_position_is_drawn_once(batch_size: int, more: int, n_batches: int, per_epoch: int) -> None:
    source = Numbers(per_epoch)
    total = batch_size * n_batches
    buffer = ShuffleBuffer(source, batch_size + more, batch_size, total, seed=0)
    assert sorted(position for batch in drawn(buffer, n_batches) for position in batch) == list(range(total))
    assert source.asked < total + 7


@given(stop=st.integers(0, 20), seed=st.integers(0, 5))
def test_it_resumes_from_its_state(stop: int, seed: int) -> None:
    whole = drawn(ShuffleBuffer(Numbers(100), 64, 16, 320, seed), 20)
    buffer = ShuffleBuffer(Numbers(100), 64, 16, 320, seed)
    assert drawn(buffer, stop) == whole[:stop]
    tensors, state = buffer.state()
    other = ShuffleBuffer(Numbers(100), 64, 16, 320, seed + 1)
    if stop:
        other.restore({key: x.clone() for key, x in tensors.items()}, state, torch.device("cpu"))
        assert drawn(other, 20 - stop) == whole[stop:]


def test_hook_points_stay_aligned() -> None:
    buffer = ShuffleBuffer(Numbers(), 64, 16, 160, 0)
    for _ in range(10):
        batch = buffer.draw()
        assert torch.equal(batch[HOOKS[0]], -batch[HOOKS[1]][:, :1])
        assert buffer.lengths == {HOOKS[0]: 1, HOOKS[1]: 2}


def test_it_mixes_over_its_size_in_bounded_memory() -> None:
    buffer = ShuffleBuffer(Numbers(), 512, 32, 32 * 100, 0)
    batches = drawn(buffer, 60)
    assert np.mean([np.ptp(batch) for batch in batches[20:]]) > 512
    tensors, _ = buffer.state()
    assert max(len(x) for x in tensors.values()) == 512
    assert tensors[f"room/{HOOKS[0].name}"].shape == (512, 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_depends_on_the_seed(seed: int) -> None:
    first = drawn(ShuffleBuffer(Numbers(), 64, 16, 160, 0), 10)
    assert (drawn(ShuffleBuffer(Numbers(), 64, 16, 160, seed), 10) == first) == (seed == 0)
