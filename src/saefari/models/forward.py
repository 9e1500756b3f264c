"""Batched forward passes over rows that return the hidden states of valid positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from saefari.models.batching import Batches
from saefari.models.hooks import HookPoint

Batch = tuple[np.ndarray, np.ndarray, dict[HookPoint, torch.Tensor]]
"""Indices of the rows [B], number of valid positions of each int64 [B], and hook -> float32 [n_positions, d]."""


class Row(Protocol):
    """One model input: its length in positions, those that count (int [n_valid]), and the model's arguments."""

    @property
    def length(self) -> int: ...
    @property
    def valid(self) -> np.ndarray: ...
    @property
    def model_input(self) -> Any: ...


class TokenRow(Row, Protocol):
    """One tokenised text: input_ids int [n_tokens], which are also the model's input."""

    @property
    def input_ids(self) -> np.ndarray: ...


class Model(Protocol):
    """Interface of a text model, a vision transformer or a vision-language model."""

    @property
    def d_model(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    def capture(self, inputs: Sequence[Any], hooks: Sequence[HookPoint]) -> dict[HookPoint, torch.Tensor]:
        """Return [B, T, d] per hook for rows' `model_input`; values beyond a row's length are undefined."""


class Forward:
    """A model with a batch budget."""

    def __init__(self, model: Model, max_tokens: int, max_sequences: int | None = None) -> None:
        """max_tokens: padded tokens in a batch. max_sequences: None = no limit."""
        self.model = model
        self._batches = Batches(max_tokens, max_sequences)

    @property
    def max_tokens(self) -> int:
        """Current budget; lowered permanently when the GPU runs out of memory."""
        return self._batches.max_tokens

    def __call__(self, rows: Sequence[Row], hooks: Sequence[HookPoint]) -> Iterator[Batch]:
        """Yield the hidden states of every row's valid positions, in length-sorted batches."""
        lengths = np.asarray([row.length for row in rows])
        for batch, (counts, states) in self._batches.run(lengths, lambda b: self._states([rows[i] for i in b], hooks)):
            yield batch, counts, states

    def _states(
        self, rows: Sequence[Row], hooks: Sequence[HookPoint]
    ) -> tuple[np.ndarray, dict[HookPoint, torch.Tensor]]:
        """Run one forward pass; return the positions of each row and their hidden states."""
        captured = self.model.capture([row.model_input for row in rows], hooks)
        n_padded = next(iter(captured.values())).shape[1]
        indices, counts = valid_positions([row.valid for row in rows], n_padded)
        indices = indices.to(self.model.device)
        return counts, {hook: x.flatten(0, 1)[indices].float() for hook, x in captured.items()}


def valid_positions(valid: Sequence[np.ndarray], n_padded: int) -> tuple[torch.Tensor, np.ndarray]:
    """Return the indices of valid positions in a flattened padded batch.

    valid: per row, the positions that count. Returns indices int64 [n_positions] into [B * n_padded] and the
    number of positions of each row, int64 [B].
    """
    counts = np.asarray([len(v) for v in valid], dtype=np.int64)
    starts = np.repeat(np.arange(len(valid), dtype=np.int64) * n_padded, counts)
    return torch.from_numpy(starts + np.concatenate(valid).astype(np.int64)), counts
