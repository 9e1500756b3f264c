"""Batches under a token budget."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saefari.models.batching import token_batches


@given(st.lists(st.integers(0, 90), max_size=80), st.integers(16, 200), st.none() | st.integers(1, 9))
def test_every_sequence_once_within_the_budget(lengths: list[int], max_tokens: int, at_most: int | None) -> None:
    batches = list(token_batches(np.asarray(lengths, dtype=int), max_tokens, at_most))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert padded <= max_tokens or len(batch) == 1
        assert at_most is None or len(batch) <= at_most


def test_batches_hold_sequences_of_similar_length() -> None:
    lengths = np.asarray([50, 3, 49, 4] * 10)
    for batch in token_batches(lengths, 200):
        assert np.ptp(lengths[batch]) <= 1 or len(batch) == 1
