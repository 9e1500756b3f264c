"""The stream of training activations: which positions, from which passes, in which batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
import torch

from saefari.errors import SaeError
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text import TextModel
from saefari.store import TokenisedRow
from saefari.train.activations import count_positions, shuffled_batches, stream_activations

Rows = Callable[[], Iterator[TokenisedRow]]
HOOKS = [HookPoint(0, "resid_post"), HookPoint(1, "resid_post")]


def key(vector: torch.Tensor) -> tuple[float, ...]:
    return tuple(np.round(vector.numpy().astype(np.float64), 2))


def test_one_pass_gives_every_valid_position_once(tiny_model: TextModel, token_rows: Rows) -> None:
    expected: Counter[tuple[float, ...]] = Counter()
    for row in token_rows():
        alone = tiny_model.capture([row.input_ids], HOOKS)[HOOKS[1]][0, torch.from_numpy(row.valid).long()]
        expected.update(map(key, alone))
    found: Counter[tuple[float, ...]] = Counter()
    for batch in stream_activations(Forward(tiny_model, 128), token_rows, HOOKS):
        assert {hook: len(part) for hook, part in batch.items()} == dict.fromkeys(HOOKS, len(batch[HOOKS[0]]))
        found.update(map(key, batch[HOOKS[1]]))
        if found.total() >= expected.total():
            break
    assert found.total() == expected.total()
    assert (found - expected).total() <= 10  # rounding may fall either way


def test_the_stream_goes_on_with_another_pass(tiny_model: TextModel, token_rows: Rows) -> None:
    per_pass = count_positions(token_rows, 10**9)
    total = 0
    for batch in stream_activations(Forward(tiny_model, 256), token_rows, HOOKS[:1]):
        total += len(batch[HOOKS[0]])
        if total > 2 * per_pass:
            break
    assert total > 2 * per_pass


def test_the_token_budget_counts_padding(
    tiny_model: TextModel, token_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = tiny_model.capture

    def spy(input_ids: list[np.ndarray], hooks: list[HookPoint]) -> dict[HookPoint, torch.Tensor]:
        sizes.append(len(input_ids) * max(map(len, input_ids)))
        return original(input_ids, hooks)

    monkeypatch.setattr(tiny_model, "capture", spy)
    stream = stream_activations(Forward(tiny_model, 60), token_rows, HOOKS)
    list(islice(stream, 40))
    assert max(sizes) <= 60
    assert np.mean(sizes) > 40


def test_what_the_memory_does_not_hold_is_halved(
    tiny_model: TextModel, token_rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = tiny_model.capture

    def capture(input_ids: list[np.ndarray], hooks: list[HookPoint]) -> dict[HookPoint, torch.Tensor]:
        if len(input_ids) * max(map(len, input_ids)) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(input_ids, hooks)

    monkeypatch.setattr(tiny_model, "capture", capture)
    forward = Forward(tiny_model, 256)
    stream = stream_activations(forward, token_rows, HOOKS)
    per_pass = count_positions(token_rows, 10**9)
    total = 0
    while total < per_pass:
        total += len(next(stream)[HOOKS[0]])
    assert total == per_pass
    assert forward.max_tokens <= 100


def test_nothing_to_train_on_is_said(tiny_model: TextModel) -> None:
    none_valid = [TokenisedRow(np.array([3, 4], dtype=np.int32), np.array([], dtype=np.int32))]
    with pytest.raises(SaeError, match="no training row holds a valid token"):
        next(stream_activations(Forward(tiny_model, 60), lambda: iter(none_valid), HOOKS))


def test_batches_mix_texts_and_keep_hooks_aligned(tiny_model: TextModel, token_rows: Rows) -> None:
    pairs = {
        key(first): key(second)
        for batch in islice(stream_activations(Forward(tiny_model, 128), token_rows, HOOKS), 40)
        for first, second in zip(batch[HOOKS[0]], batch[HOOKS[1]], strict=True)
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stream = stream_activations(Forward(tiny_model, 128), token_rows, HOOKS)
        batches = list(islice(shuffled_batches(stream, HOOKS, 64, 512), 10))
    assert {len(batch[HOOKS[0]]) for batch in batches} == {64}
    matched = [
        pairs.get(key(first)) == key(second)
        for first, second in zip(batches[0][HOOKS[0]], batches[0][HOOKS[1]], strict=True)
    ]
    assert np.mean(matched) > 0.9


def test_counting_stops_early(token_rows: Rows) -> None:
    seen = 0

    def counted() -> Iterator[TokenisedRow]:
        nonlocal seen
        for row in token_rows():
            seen += 1
            yield row

    assert count_positions(counted, 50) >= 50
    assert seen < 60
