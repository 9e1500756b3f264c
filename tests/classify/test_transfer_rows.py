"""Which rows a transfer may test on, and which class guessing is based on: known answers on a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from saefari.classify import transfer_rows
from saefari.store import SamplesWriter, write_split

Row = tuple[int, str, str, str | None]
"""Number in the dataset, text, label and group."""
TRAINED: list[Row] = [(0, "red", "a", "g1"), (1, "green", "b", "g2"), (2, "blue", "b", None)]
"""Training rows of the run that is transferred."""


def write(folder: Path, data: str, rows: Sequence[Row], parts: Sequence[int]) -> Path:
    """Samples of the dataset whose fingerprint is `data`, and their split."""
    with SamplesWriter(folder, {"fingerprint": data}) as writer:
        for row, text, label, group in rows:
            nothing: list[int] = []
            writer.write(
                {"row": row, "id": f"id{row}", "text": text, "label": label, "group": group, "n_tokens": 0}
                | dict.fromkeys(("input_ids", "valid", "span_start", "span_end"), nothing)
            )
    write_split(folder, np.asarray(parts, dtype=np.int8), {}, [])
    return folder


@pytest.mark.parametrize(
    ("data", "left"),
    [("same", [15]), ("other", [2, 13, 14, 15])],
    ids=["of the same dataset", "of another dataset"],
)
def test_rows_that_share_anything_with_a_training_row_are_left_out(tmp_path: Path, data: str, left: list[int]) -> None:
    training = transfer_rows.training_rows([write(tmp_path / "train", "same", TRAINED, [0, 0, 0])], ["a", "b"])
    rows: list[Row] = [
        (2, "new", "a", None),  # a trained row whose text was changed
        (11, " Red!", "a", None),  # a near-duplicate of a trained text
        (13, "cyan", "b", "g1"),  # of a trained group
        (14, "grey", "b", "g2"),
        (15, "pink", "b", "g3"),
    ]
    folder = write(tmp_path / "test", data, rows, [1] * 5)
    found = transfer_rows.tested_rows(folder, "test", {"a": "a", "b": "b"}, ["a", "b"], training)
    assert found.row.tolist() == left
    assert found.places.tolist() == [place for place, (row, *_) in enumerate(rows) if row in left]
    assert (found.trained_on, found.unmapped) == (5 - len(left), 0)


@pytest.mark.parametrize("which", ["test", "all"])
def test_only_rows_of_the_part_asked_for_and_of_a_mapped_class_count(tmp_path: Path, which: str) -> None:
    training = transfer_rows.training_rows([write(tmp_path / "train", "one", TRAINED, [0, 0, 0])], ["a", "b"])
    rows: list[Row] = [(row, f"text {row}", label, None) for row, label in enumerate(["a", "b", "x", "b", "a"])]
    folder = write(tmp_path / "test", "two", rows, [1, 0, 1, 1, -1])
    found = transfer_rows.tested_rows(folder, which, {"a": "b", "b": "a", "x": None}, ["a", "b"], training)  # type: ignore[arg-type]
    assert found.row.tolist() == ([0, 3] if which == "test" else [0, 1, 3])
    assert found.classes.tolist() == ([1, 0] if which == "test" else [1, 0, 0])
    assert (found.trained_on, found.unmapped) == (0, 1)


def test_the_majority_class_is_that_of_training_rows_alone(tmp_path: Path) -> None:
    rows: list[Row] = [(row, f"text {row}", label, None) for row, label in enumerate("abbaaaa")]
    folder = write(tmp_path / "train", "one", rows, [0, 0, 0, 1, 1, 1, -1])
    assert transfer_rows.training_rows([folder], ["a", "b"]).majority == "b"
    tie = write(tmp_path / "tie", "one", rows[:2], [0, 0])
    assert transfer_rows.training_rows([tie], ["b", "a"]).majority == "a", (
        "of equally frequent classes the first by name"
    )
