"""A model's hidden states as an endless stream of training batches.

Shapes: n positions, d the length of a hook point's vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from saefari.errors import SaeError
from saefari.models.forward import Forward, TokenRow
from saefari.models.hooks import HookPoint

TokenRows = Callable[[], Iterator[TokenRow]]
"""Starts a pass over the texts; called again for every epoch."""

WINDOW_BATCHES = 16
"""Batches whose texts are sorted by length together, so that little padding is computed."""


def stream_activations(
    forward: Forward, token_rows: TokenRows, hooks: Sequence[HookPoint]
) -> Iterator[dict[HookPoint, torch.Tensor]]:
    """Float32 hidden states [n, d] of valid positions, one dict per forward pass, over and over.

    All hook points come from one forward pass and agree in their positions.
    Raises SaeError when the texts hold no valid position.
    """
    while True:
        usable = (row for row in token_rows() if len(row.valid))
        empty = True
        while window := _window(usable, WINDOW_BATCHES * forward.max_tokens):
            empty = False
            for _, _, states in forward(window, hooks):
                yield states
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
    for row in token_rows():
        total += len(row.valid)
        if total >= enough:
            break
    return total


def _window(rows: Iterator[TokenRow], n_tokens: int) -> list[TokenRow]:
    """The next texts, until they hold `n_tokens` tokens."""
    window: list[TokenRow] = []
    total = 0
    for row in rows:
        window.append(row)
        total += len(row.input_ids)
        if total >= n_tokens:
            break
    return window


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
        yield {name: torch.cat([part[hook] for part in parts]) for hook, name in names.items()}
