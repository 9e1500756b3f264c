"""Norms of hidden states: a layer's median, and positions far above it (attention sinks)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from saefari.models.forward import Forward, Model, Row
from saefari.models.hooks import HookPoint

MEASURED_POSITIONS = 4096
"""Approximate number of positions that a median is taken over."""
_BATCH_TOKENS = 2048
"""Fixed, independent of a run's batch size, since the last bits of a hidden state depend on its batch."""


def norm_medians(
    model: Model, windows: Iterable[Sequence[Row]], hooks: Sequence[HookPoint]
) -> dict[HookPoint, float | None]:
    """Compute the median L2 norm of hidden states at valid positions, per hook point; None if there are none.

    windows: rows that are in memory together.
    """
    forward = Forward(model, _BATCH_TOKENS)
    found: dict[HookPoint, list[torch.Tensor]] = {hook: [] for hook in hooks}
    for window in windows:
        for _, _, states in forward(window, hooks):
            for hook, parts in found.items():
                parts.append(_norms(states[hook]).cpu())
    return {hook: _median(parts) for hook, parts in found.items()}


def outliers(hidden: torch.Tensor, limit: float | None) -> np.ndarray | None:
    """Return which hidden states [n, d] have an L2 norm above `limit`: bool [n], or None if none has."""
    if limit is None:
        return None
    above = _norms(hidden) > limit
    return above.cpu().numpy() if bool(above.any()) else None


def without_outliers(hidden: torch.Tensor, limit: float | None) -> torch.Tensor:
    """Return the hidden states [n, d] whose L2 norm is at most `limit`; None = all."""
    above = outliers(hidden, limit)
    return hidden if above is None else hidden[torch.from_numpy(~above).to(hidden.device)]


def _norms(hidden: torch.Tensor) -> torch.Tensor:
    norms: torch.Tensor = torch.linalg.vector_norm(hidden.float(), dim=-1)
    return norms


def _median(parts: Sequence[torch.Tensor]) -> float | None:
    norms = torch.cat(list(parts)).numpy() if parts else np.zeros(0)
    return float(np.median(norms)) if len(norms) else None
