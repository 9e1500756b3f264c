"""Sources of training activations: their positions, epochs and resumption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from saefari.errors import SaeError
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text_model import TextModel
from saefari.store import Manifest, SamplesWriter, TokenisedRow, hidden_folder, write_shard, write_split
from saefari.train.activation_sources import ActivationSource, Cursor, ModelActivations, StoredActivations
from saefari.train.training_rows import RowPlan

from .conftest import ListedRows

HOOKS = [HookPoint(0, "resid_post"), HookPoint(1, "resid_post")]
N_ROWS = 2500  # two shards


def keys(block: torch.Tensor) -> list[tuple[float, ...]]:
    return [tuple(row) for row in block.numpy().astype(np.float64).round(2)]


def one_pass(source: ActivationSource, hook: HookPoint) -> Counter[tuple[float, ...]]:
    """Return every vector of the first epoch."""
    found: Counter[tuple[float, ...]] = Counter()
    for block, cursor in source.blocks(Cursor()):
        if cursor.epoch:
            break
        found.update(keys(block[hook]))
    return found


def test_an_epoch_has_every_valid_position_once(
    tiny_model: TextModel, listed_rows: ListedRows, source: Callable[..., ModelActivations]
) -> None:
    expected: Counter[tuple[float, ...]] = Counter()
    for row in listed_rows.training(0):
        expected.update(
            keys(tiny_model.capture([row.input_ids], HOOKS)[HOOKS[1]][0, torch.from_numpy(row.valid).long()])
        )
    found = one_pass(source(0, 1, max_tokens=128), HOOKS[1])
    assert found.total() == expected.total()
    assert (found - expected).total() <= 10  # rounding may differ


def test_held_out_rows_are_never_trained_on(source: Callable[..., ModelActivations]) -> None:
    held_out = [key for block in source().held_out() for key in keys(block[HOOKS[1]])]
    assert len(held_out) > 100
    seen = one_pass(source(), HOOKS[1])
    assert np.mean([key in seen for key in held_out]) < 0.05


def test_hook_points_agree_in_their_positions(source: Callable[..., ModelActivations]) -> None:
    alone = {hook: one_pass(source(hook.layer), hook) for hook in HOOKS}
    for block, _ in islice(source(0, 1).blocks(Cursor()), 3):
        assert {hook: len(states) for hook, states in block.items()} == dict.fromkeys(HOOKS, len(block[HOOKS[0]]))
        assert all(alone[hook][key] for hook in HOOKS for key in keys(block[hook])[:50])


@pytest.mark.parametrize("index", [0, 1, 5])
def test_the_stream_resumes_at_any_cursor(source: Callable[..., ModelActivations], index: int) -> None:
    stream = list(islice(source(max_tokens=60).blocks(Cursor()), 30))
    assert stream[-1][1].epoch >= 1
    again = islice(source(max_tokens=60).blocks(stream[index][1]), 30 - index - 1)
    for (expected, at), (found, now) in zip(stream[index + 1 :], again, strict=True):
        assert at == now
        assert torch.equal(expected[HOOKS[1]], found[HOOKS[1]])


def test_the_token_budget_counts_padding(
    tiny_model: TextModel, source: Callable[..., ModelActivations], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = tiny_model.capture

    def spy(input_ids: list[np.ndarray], hooks: list[HookPoint]) -> dict[HookPoint, torch.Tensor]:
        sizes.append(len(input_ids) * max(map(len, input_ids)))
        return original(input_ids, hooks)

    monkeypatch.setattr(tiny_model, "capture", spy)
    list(islice(source(max_tokens=60).blocks(Cursor()), 10))
    assert max(sizes) <= 60
    assert np.mean(sizes) > 40


def test_counting_stops_early_and_runs_no_model(tiny_model: TextModel, listed_rows: ListedRows) -> None:
    class Counted(ListedRows):
        seen = 0

        def training(self, epoch: int):  # type: ignore[no-untyped-def]
            for row in super().training(epoch):
                Counted.seen += 1
                yield row

    assert ModelActivations(Forward(tiny_model, 60), Counted(listed_rows.rows), HOOKS).positions(50) >= 50
    assert Counted.seen < 60


def test_no_training_positions_are_an_error(tiny_model: TextModel) -> None:
    none_valid = ListedRows([TokenisedRow(np.array([3, 4], dtype=np.int32), np.array([], dtype=np.int32))] * 30)
    with pytest.raises(SaeError, match="no training row has a valid position"):
        next(ModelActivations(Forward(tiny_model, 60), none_valid, HOOKS).blocks(Cursor()))


@pytest.fixture
def stored(tmp_path: Path) -> StoredActivations:
    """Rows r of one to four positions with values 4 r + index, doubled in layer 1; every third is a test row."""
    parts = np.where(np.arange(N_ROWS) % 3 == 0, 1, 0).astype(np.int8)
    lengths = np.arange(N_ROWS) % 4 + 1
    with SamplesWriter(tmp_path, {}) as writer:
        for row, length in enumerate(lengths):
            writer.write({"row": row, "input_ids": [2] * length, "valid": list(range(length))})
    write_split(tmp_path, parts, {}, [])
    for layer in (0, 1):
        folder = hidden_folder(tmp_path, layer)
        manifest = Manifest(kind="hidden", n_rows=N_ROWS, settings={})
        for shard, (start, stop) in enumerate(((0, 2048), (2048, N_ROWS))):
            offsets = np.concatenate([[0], np.cumsum(lengths[start:stop])])
            values = np.concatenate([4 * row + np.arange(length) for row, length in enumerate(lengths)][start:stop])
            arrays = {
                "positions": np.stack([values * (layer + 1), np.zeros_like(values)], axis=1).astype(np.float32),
                "offsets": offsets,
            }
            manifest.shards.append(write_shard(folder, shard, (start, stop), arrays))
        manifest.save(folder)
    return StoredActivations(RowPlan({tmp_path: parts}, 0), HOOKS, torch.device("cpu"))


def test_stored_positions_of_training_rows_occur_once_per_epoch(stored: StoredActivations) -> None:
    kept = {int(value) // 4 for block in stored.held_out() for value in block[HOOKS[0]][:, 0]}
    seen: list[int] = []
    for block, cursor in stored.blocks(Cursor()):
        if cursor.epoch:
            break
        assert torch.equal(2 * block[HOOKS[0]][:, 0], block[HOOKS[1]][:, 0])
        seen += block[HOOKS[0]][:, 0].int().tolist()
    training = [row for row in range(N_ROWS) if row % 3]
    assert len(kept) == round(0.1 * len(training))
    assert sorted(seen) == [4 * row + i for row in training if row not in kept for i in range(row % 4 + 1)]
    assert stored.positions(10**9) == len(seen)


def test_stored_positions_resume_at_any_cursor(stored: StoredActivations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saefari.train.activation_sources.STORED_BLOCK", 500)
    stream = list(islice(stored.blocks(Cursor()), 20))
    assert stream[-1][1].epoch == 2
    for index in range(19):
        expected = torch.cat([block[HOOKS[0]] for block, _ in stream[index + 1 :]])
        again = torch.cat([block[HOOKS[0]] for block, _ in islice(stored.blocks(stream[index][1]), 20 - index)])
        assert torch.equal(again[: len(expected)], expected[: len(again)])
