"""Batches of a forward pass when the GPU runs out of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text_model import TextModel
from saefari.store import TokenisedRow

HOOK = HookPoint.parse("blocks.1.hook_resid_post")


def rows_of(lengths: list[int]) -> list[TokenisedRow]:
    return [TokenisedRow(np.full(n, 4, dtype=np.int32), np.arange(n, dtype=np.int32)) for n in lengths]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Simulate a GPU with room for 100 padded tokens; record (padded tokens, fits) of every attempted pass."""
    tried: list[tuple[int, bool]] = []
    original = TextModel.capture

    def capture(self: TextModel, input_ids: Any, hooks: Any) -> Any:
        padded = len(input_ids) * max(map(len, input_ids))
        tried.append((padded, padded <= 100))
        if padded > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, input_ids, hooks)

    monkeypatch.setattr(TextModel, "capture", capture)
    return tried


def test_a_lowered_budget_is_kept(load_tiny: Callable[..., TextModel], memory: list[tuple[int, bool]]) -> None:
    forward = Forward(load_tiny("gpt2"), max_tokens=320)
    for _ in range(2):  # two shards
        rows = rows_of([20] * 33 + [10] * 40 + [3, 1])
        seen = np.concatenate([batch for batch, _, _ in forward(rows, [HOOK])])
        assert sorted(seen) == list(range(len(rows)))
    assert [padded for padded, fits in memory if not fits] == [320, 160]
    assert max(padded for padded, fits in memory if fits) <= 80


def test_batches_that_fit_are_not_split(load_tiny: Callable[..., TextModel], memory: list[tuple[int, bool]]) -> None:
    rows = rows_of([20, 3, 20, 20, 0, 1, 20, 20, 20])
    sizes = [len(batch) for batch, _, _ in Forward(load_tiny("gpt2"), 100, max_sequences=4)(rows, [HOOK])]
    assert sizes == [4, 4, 1]
