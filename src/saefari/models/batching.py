"""Length-sorted batches under a token budget that is lowered when the GPU runs out of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from saefari.errors import ModelError
from saefari.log import logger

T = TypeVar("T")


def token_batches(lengths: np.ndarray, max_tokens: int, max_sequences: int | None = None) -> Iterator[np.ndarray]:
    """Yield the indices of each batch, longest sequences first, so that an out-of-memory error occurs early.

    lengths: int [n], tokens of each sequence; a batch of B sequences costs B x its longest one, padding included.
    A sequence longer than the budget is a batch of its own. Every index occurs exactly once.
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


@dataclass
class Batches:
    """The budget of a batch: sequences, and padded tokens, lowered permanently when the GPU runs out of memory."""

    max_tokens: int
    max_sequences: int | None = None

    def run(self, lengths: np.ndarray, work: Callable[[np.ndarray], T]) -> Iterator[tuple[np.ndarray, T]]:
        """Yield (indices of a batch, work(indices)) until all sequences are done; lengths: int [n].

        Raises ModelError for a single sequence that does not fit the memory.
        """
        for batch in token_batches(lengths, self.max_tokens, self.max_sequences):
            yield from self._batch(batch, lengths, work)

    def _batch(
        self, batch: np.ndarray, lengths: np.ndarray, work: Callable[[np.ndarray], T]
    ) -> Iterator[tuple[np.ndarray, T]]:
        """Run one batch, split into parts if it exceeds the budget or runs out of memory."""
        longest = max(int(lengths[batch].max()), 1)
        if len(batch) > 1 and len(batch) * longest > self.max_tokens:
            for part in token_batches(lengths[batch], self.max_tokens):
                yield from self._batch(batch[part], lengths, work)
            return
        try:
            done = work(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise ModelError(
                    f"a single row of {longest} positions does not fit the GPU's memory; "
                    "use a smaller settings.dtype or, for texts, lower settings.max_length"
                ) from None
        else:
            yield batch, done
            return
        torch.cuda.empty_cache()
        self.max_tokens = len(batch) * longest // 2
        logger.warning(
            "out of GPU memory with %d sequences: batches now limited to %d tokens",
            len(batch),
            self.max_tokens,
        )
        yield from self._batch(batch, lengths, work)
