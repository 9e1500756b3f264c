"""Near-duplicates stay on one side of a split, and the record has their number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from saefari.classify.task import load_task
from saefari.extract.freeze_split import prepare_split
from saefari.store import SamplesWriter, read_split, read_split_record, write_split

N = 60


def disguised(text: str, i: int) -> str:
    """Change a text without changing its normal form."""
    return f"@user{i} {text.upper()}!!! https://example.org/{i}"


def write_samples(folder: Path, texts: Sequence[str]) -> None:
    with SamplesWriter(folder, {}) as writer:
        for row, text in enumerate(texts):
            tokens: list[int] = []
            writer.write(
                {"row": row, "id": f"id{row}", "text": text, "label": "ab"[row // 2 % 2], "group": None, "n_tokens": 0}
                | dict.fromkeys(("input_ids", "valid", "span_start", "span_end"), tokens)
            )


@pytest.fixture
def pairs() -> list[str]:
    """Texts, each followed by a near-duplicate."""
    plain = [f"the bill of customer {i} was wrong" for i in range(N)]
    return [text for i, one in enumerate(plain) for text in (one, disguised(one, i))]


def test_near_duplicates_stay_on_one_side_and_are_counted(tmp_path: Path, pairs: list[str]) -> None:
    write_samples(tmp_path, [*pairs, pairs[0]])
    record = prepare_split(tmp_path, None, 0.3, seed=0)
    sides = read_split(tmp_path)
    np.testing.assert_array_equal(sides[0 : 2 * N : 2], sides[1 : 2 * N : 2])
    assert set(sides.tolist()) == {0, 1}
    assert record["tied"] == {"equal": 2, "near": 2 * N + 1}
    assert "punctuation" in record["settings"]["text_ties"]


def test_near_duplicates_stay_in_one_fold(tmp_path: Path, pairs: list[str]) -> None:
    write_samples(tmp_path, pairs)
    prepare_split(tmp_path, None, 0.3, seed=0)
    task = load_task([tmp_path], 3, seed=0)
    folds = dict(zip(task.train.tolist(), task.folds.tolist(), strict=True))
    assert all(folds[row] == folds[row ^ 1] for row in folds)
    assert set(folds.values()) == {0, 1, 2}


def test_a_training_row_with_a_near_duplicate_in_the_test_split_is_excluded(tmp_path: Path, pairs: list[str]) -> None:
    write_samples(tmp_path / "train", pairs[0::2])
    write_samples(tmp_path / "test", [pairs[1], pairs[3], "something else"])
    record = prepare_split(tmp_path / "train", tmp_path / "test", 0.3, seed=0)
    assert read_split(tmp_path / "train").tolist() == [-1, -1] + [0] * (N - 2)
    assert record["tied"] == {"equal": 0, "near": 4}
    assert record["warnings"] == ["2 training rows left out: they share a text or a group with a test row"]


def test_a_split_of_an_older_rule_is_readable_and_redone(tmp_path: Path, pairs: list[str]) -> None:
    write_samples(tmp_path, pairs)
    current = prepare_split(tmp_path, None, 0.3, seed=0)
    older = {name: value for name, value in current["settings"].items() if name != "text_ties"}
    write_split(tmp_path, np.arange(2 * N) % 2, older, [])
    assert read_split(tmp_path).tolist() == [0, 1] * N
    stored = read_split_record(tmp_path)
    assert stored is not None
    assert "tied" not in stored
    assert prepare_split(tmp_path, None, 0.3, seed=0) == current
