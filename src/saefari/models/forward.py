"""Forward passes over tokenised rows, a batch at a time, each giving the hidden states of its valid positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from saefari.errors import ModelError
from saefari.log import logger
from saefari.models.batching import token_batches
from saefari.models.hooks import HookPoint
from saefari.models.text import TextModel

Batch = tuple[np.ndarray, np.ndarray, dict[HookPoint, torch.Tensor]]
"""Indices of the rows [B], positions of each row int64 [B], and hook -> float32 [n_positions, d]."""


class TokenRow(Protocol):
    """One tokenised text: input_ids int [n_tokens]; valid int [n_valid], the positions in them that count."""

    @property
    def input_ids(self) -> np.ndarray: ...
    @property
    def valid(self) -> np.ndarray: ...


@dataclass
class Forward:
    """A model and the budget of its batches.

    max_tokens: padded tokens in a batch, lowered for good when the GPU's memory does not hold one.
    max_sequences: None = only the tokens count.
    """

    model: TextModel
    max_tokens: int
    max_sequences: int | None = None

    def __call__(self, rows: Sequence[TokenRow], hooks: Sequence[HookPoint]) -> Iterator[Batch]:
        """Every row's valid positions, in length-sorted batches."""
        for batch in token_batches(_lengths(rows), self.max_tokens, self.max_sequences):
            yield from self._batch(batch, rows, hooks)

    def _batch(self, batch: np.ndarray, rows: Sequence[TokenRow], hooks: Sequence[HookPoint]) -> Iterator[Batch]:
        """One batch, or its parts where the budget was lowered since it was put together, or must be now."""
        chosen = [rows[i] for i in batch]
        lengths = _lengths(chosen)
        longest = max(int(lengths.max()), 1)
        if len(batch) > 1 and len(batch) * longest > self.max_tokens:
            for part in token_batches(lengths, self.max_tokens):
                yield from self._batch(batch[part], rows, hooks)
            return
        try:
            counts, states = self._states(chosen, hooks)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise ModelError(
                    f"a single text of {longest} tokens does not fit the GPU's memory; "
                    "lower settings.max_length or use a smaller settings.dtype"
                ) from None
        else:
            yield batch, counts, states
            return
        torch.cuda.empty_cache()
        self.max_tokens = len(batch) * longest // 2
        logger.warning(
            "out of GPU memory at %d sequences: from now on at most %d tokens a batch", len(batch), self.max_tokens
        )
        yield from self._batch(batch, rows, hooks)

    def _states(
        self, rows: Sequence[TokenRow], hooks: Sequence[HookPoint]
    ) -> tuple[np.ndarray, dict[HookPoint, torch.Tensor]]:
        """Positions of each row, and their hidden states, from one forward pass."""
        captured = self.model.capture([row.input_ids for row in rows], hooks)
        n_padded = next(iter(captured.values())).shape[1]
        where, counts = valid_positions([row.valid for row in rows], n_padded)
        where = where.to(self.model.device)
        return counts, {hook: x.flatten(0, 1)[where].float() for hook, x in captured.items()}


def _lengths(rows: Sequence[TokenRow]) -> np.ndarray:
    return np.asarray([len(row.input_ids) for row in rows])


def valid_positions(valid: Sequence[np.ndarray], n_padded: int) -> tuple[torch.Tensor, np.ndarray]:
    """Where the valid positions of a padded batch lie once it is flattened.

    valid: per row, the positions that count. Returns indices int64 [n_positions] into [B * n_padded] and the
    number of positions of each row, int64 [B].
    """
    counts = np.asarray([len(v) for v in valid], dtype=np.int64)
    starts = np.repeat(np.arange(len(valid), dtype=np.int64) * n_padded, counts)
    return torch.from_numpy(starts + np.concatenate(valid).astype(np.int64)), counts
