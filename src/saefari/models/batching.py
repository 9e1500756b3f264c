"""Length-sorted batches under a token budget."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def token_batches(lengths: np.ndarray, max_tokens: int, max_sequences: int | None = None) -> Iterator[np.ndarray]:
    """Indices of the sequences of each batch, longest first, so that a batch too large for the memory shows early.

    lengths: int [n], tokens of each sequence; a batch of B sequences costs B x its longest one, padding included.
    A sequence longer than the budget makes a batch of its own. Every index comes exactly once.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = max(max_tokens // longest, 1)
        if max_sequences is not None:
            size = min(size, max_sequences)
        yield order[start : start + size]
        start += size
