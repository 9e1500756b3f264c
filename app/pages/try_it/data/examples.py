"""Test rows as example texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.shared.data.one_result import OneResult
from app.shared.data.samples.rows import sample_folder
from saefari.errors import StoreError
from saefari.store import read_sample_rows, read_samples, read_split

LONGEST_TEXT = 20_000
"""Maximum number of characters: more than any model reads, and still fast to display."""


@dataclass(frozen=True)
class ExampleText:
    """A test row: its number in the dataset, its text and its label."""

    row: int
    text: str
    label: str


def example_texts(result: OneResult, n: int) -> list[ExampleText]:
    """Up to n test rows, evenly spaced over a result's test set; [] if they are not stored."""
    try:
        folder = sample_folder(result)
        test_rows = read_samples(folder, ["row"])["row"].to_numpy()[read_split(folder) == 1]
        chosen = test_rows[np.linspace(0, len(test_rows) - 1, min(n, len(test_rows))).astype(int)].tolist()
        found = read_sample_rows(folder, chosen, ["text", "label"]).to_pylist() if chosen else []
    except (StoreError, KeyError, IndexError, TypeError, ValueError, OSError):
        return []  # the page works without examples; Health reports damaged rows
    return [
        ExampleText(row, one["text"], one["label"] or "")
        for row, one in zip(chosen, found, strict=True)
        if one["text"] and len(one["text"]) <= LONGEST_TEXT
    ]
