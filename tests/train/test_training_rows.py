"""Which rows SAEs are trained on, and in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saefari.store import SamplesWriter, read_split, write_split
from saefari.train import run as run_module
from saefari.train.run import training_rows

N_ROWS = 2100  # two shards


@pytest.fixture
def splits(tmp_path: Path) -> dict[Path, np.ndarray]:
    """Two datasets; row r of the first has the one token r, of the second the one token 10,000 + r."""
    for first, name in ((0, "a"), (10_000, "b")):
        folder = tmp_path / name
        with SamplesWriter(folder, {}) as writer:
            for row in range(N_ROWS):
                writer.write({"row": row, "input_ids": [first + row], "valid": [0]})
        write_split(folder, (np.arange(N_ROWS) % 3 - 1).astype(np.int8), {}, [])
    return {folder: read_split(folder) for folder in (tmp_path / "a", tmp_path / "b")}


def tokens(splits: dict[Path, np.ndarray], seed: int = 0) -> list[int]:
    return [int(row.input_ids[0]) for row in training_rows(splits, seed)]


def test_every_training_row_once_and_no_other(splits: dict[Path, np.ndarray]) -> None:
    training = [row for row in range(N_ROWS) if row % 3 == 1]
    assert sorted(tokens(splits)) == training + [10_000 + row for row in training]


def test_the_seed_decides_the_order(splits: dict[Path, np.ndarray]) -> None:
    order = tokens(splits)
    assert order == tokens(splits)
    assert order != tokens(splits, seed=1)
    assert order != sorted(order)


def test_each_file_is_opened_once(splits: dict[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    original = run_module.iter_token_rows
    monkeypatch.setattr(
        run_module, "iter_token_rows", lambda folder, shards: opened.append(folder) or original(folder, shards)
    )
    tokens(splits)
    assert opened == list(splits)
