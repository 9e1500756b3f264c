"""A model's hidden states as an endless stream of training batches.

Shapes: n positions, d the length of a hook point's vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from saefari.errors import SaeError
from saefari.models.hooks import HookPoint
from saefari.models.text import TextModel

TokenRow = tuple[np.ndarray, np.ndarray]
"""One text: its token ids, and which of its positions are valid."""
TokenRows = Callable[[], Iterator[TokenRow]]
"""Starts a pass over the texts; called again for every epoch."""

WINDOW_BATCHES = 16
"""Batches whose texts are sorted by length together, so that little padding is computed."""


def stream_activations(
    model: TextModel, token_rows: TokenRows, hooks: Sequence[HookPoint], max_tokens_per_batch: int
) -> Iterator[dict[HookPoint, torch.Tensor]]:
    """Hidden states [n, d] of valid positions, one dict per forward pass, over and over.

    All hook points come from one forward pass and agree in their positions. A batch holds at most
    `max_tokens_per_batch` tokens, padding included, but always at least one text.
    Raises SaeError when the texts hold no valid position.
    """
    while True:
        empty = True
        for batch in _batches(token_rows(), max_tokens_per_batch):
            empty = False
            yield _valid_positions(model, batch, hooks)
        if empty:
            raise SaeError("there is nothing to train an SAE on: no training row holds a valid token")


def shuffled_batches(
    stream: Iterator[dict[HookPoint, torch.Tensor]],
    hooks: Sequence[HookPoint],
    batch_size: int,
    buffer_size: int,
) -> Iterator[dict[HookPoint, torch.Tensor]]:
    """Batches of exactly `batch_size` float32 positions, mixed within a buffer that is refilled by halves.

    Draws from torch's global generator: seed it around the loop. Mixing is sae-lens' own.
    """
    from sae_lens.training.mixing_buffer import multi_hook_concat_split_iter

    names = {hook: hook.name for hook in hooks}
    blocks = _blocks(stream, names, max(batch_size, buffer_size // 2))
    for batch in multi_hook_concat_split_iter(buffer_size, batch_size, blocks, list(names.values())):
        yield {hook: batch[name] for hook, name in names.items()}


def count_positions(token_rows: TokenRows, enough: int) -> int:
    """Valid positions of one pass over the texts, counted no further than `enough`."""
    total = 0
    for _, valid in token_rows():
        total += len(valid)
        if total >= enough:
            break
    return total


def _batches(rows: Iterator[TokenRow], max_tokens: int) -> Iterator[list[TokenRow]]:
    """Texts with a valid position, sorted by length within windows and cut at the token budget."""
    usable = (row for row in rows if len(row[1]))
    while window := _window(usable, WINDOW_BATCHES * max_tokens):
        window.sort(key=lambda row: len(row[0]))
        batch: list[TokenRow] = []
        for row in window:
            if batch and (len(batch) + 1) * len(row[0]) > max_tokens:
                yield batch
                batch = []
            batch.append(row)
        yield batch


def _window(rows: Iterator[TokenRow], n_tokens: int) -> list[TokenRow]:
    """The next texts, until they hold `n_tokens` tokens."""
    window: list[TokenRow] = []
    total = 0
    for row in rows:
        window.append(row)
        total += len(row[0])
        if total >= n_tokens:
            break
    return window


def _valid_positions(
    model: TextModel, batch: Sequence[TokenRow], hooks: Sequence[HookPoint]
) -> dict[HookPoint, torch.Tensor]:
    """One forward pass, without padding and special tokens."""
    captured = model.capture([input_ids for input_ids, _ in batch], hooks)
    length = next(iter(captured.values())).shape[1]
    rows = np.concatenate([valid.astype(np.int64) + i * length for i, (_, valid) in enumerate(batch)])
    index = torch.from_numpy(rows).to(model.device)
    return {hook: hidden.flatten(0, 1).index_select(0, index) for hook, hidden in captured.items()}


def _blocks(
    stream: Iterator[dict[HookPoint, torch.Tensor]], names: dict[HookPoint, str], n_positions: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Forward passes joined to blocks of `n_positions` or more: the buffer copies itself for each block."""
    while True:
        parts: list[dict[HookPoint, torch.Tensor]] = []
        total = 0
        while total < n_positions:
            parts.append(next(stream))
            total += len(next(iter(parts[-1].values())))
        yield {name: torch.cat([part[hook] for part in parts]).float() for hook, name in names.items()}
