"""Token rows for a tiny model with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from saefari.models.text import TextModel
from saefari.store import TokenisedRow


@pytest.fixture(scope="session")
def tiny_model(load_tiny: Callable[..., TextModel]) -> TextModel:
    """A four-block GPT-2 of 32 dimensions."""
    return load_tiny("gpt2")


@pytest.fixture(scope="session")
def token_rows() -> Callable[[], Iterator[TokenisedRow]]:
    """400 texts of 2 to 12 tokens; the first position of each does not count."""
    generator = np.random.default_rng(0)
    rows = []
    for _ in range(400):
        input_ids = generator.integers(2, 40, generator.integers(2, 13)).astype(np.int32)
        rows.append(TokenisedRow(input_ids, np.arange(1, len(input_ids), dtype=np.int32)))
    return lambda: iter(rows)
