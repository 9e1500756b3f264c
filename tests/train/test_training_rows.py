"""Training rows of SAEs, their order, and held-out rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saefari.store import SamplesWriter, read_split, write_split
from saefari.train import training_rows as rows_module
from saefari.train.training_rows import MAX_HELD_OUT, RowPlan, StoredRows

N_ROWS = 2100  # two shards


@pytest.fixture
def splits(tmp_path: Path) -> dict[Path, np.ndarray]:
    """Two datasets; row r has one token, r in the first and 10,000 + r in the second."""
    for first, name in ((0, "a"), (10_000, "b")):
        folder = tmp_path / name
        with SamplesWriter(folder, {}) as writer:
            for row in range(N_ROWS):
                writer.write({"row": row, "input_ids": [first + row], "valid": [0]})
        write_split(folder, (np.arange(N_ROWS) % 3 - 1).astype(np.int8), {}, [])
    return {folder: read_split(folder) for folder in (tmp_path / "a", tmp_path / "b")}


def training(splits: dict[Path, np.ndarray], seed: int = 0, epoch: int = 0) -> list[int]:
    return [int(row.input_ids[0]) for row in StoredRows(RowPlan(splits, seed)).training(epoch)]


def held_out(splits: dict[Path, np.ndarray], seed: int = 0) -> list[int]:
    return [int(row.input_ids[0]) for row in StoredRows(RowPlan(splits, seed)).held_out()]


def test_exactly_the_training_rows_are_trained_on_or_held_out(splits: dict[Path, np.ndarray]) -> None:
    rows = [row for row in range(N_ROWS) if row % 3 == 1]
    assert sorted(training(splits) + held_out(splits)) == rows + [10_000 + row for row in rows]
    assert len(held_out(splits)) == round(0.1 * 2 * len(rows))
    assert min(np.mean([row < 10_000 for row in held_out(splits)]), 1) == pytest.approx(0.5)


def test_the_number_of_held_out_rows_is_bounded() -> None:
    plan = RowPlan({Path("a"): np.zeros(30_000, dtype=np.int8), Path("b"): np.zeros(10_000, dtype=np.int8)}, 0)
    kept = {folder: sum(len(rows) for place, _, rows in plan.held_out() if place == folder) for folder in plan.splits}
    assert kept == {Path("a"): MAX_HELD_OUT * 3 // 4, Path("b"): MAX_HELD_OUT // 4}


def test_the_order_depends_on_seed_and_epoch(splits: dict[Path, np.ndarray]) -> None:
    order = training(splits)
    assert order == training(splits)
    assert order != training(splits, seed=1)
    assert order != sorted(order)
    assert order != training(splits, epoch=1)
    assert sorted(order) == sorted(training(splits, epoch=1))


def test_each_file_is_opened_once(splits: dict[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    original = rows_module.iter_token_rows
    monkeypatch.setattr(
        rows_module, "iter_token_rows", lambda folder, shards: opened.append(folder) or original(folder, shards)
    )
    training(splits)
    assert sorted(opened) == sorted(splits)
