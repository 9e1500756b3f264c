"""Figures of a training step, and their curves."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch

POINTS = 200
"""Maximum number of points of a curve."""


class Figures(NamedTuple):
    """FVU, L0, share of recently inactive latents, and mean squared error per dimension, of one batch."""

    fvu: float
    l0: float
    dead: float
    mse: float

    @property
    def finite(self) -> bool:
        """False once an SAE has diverged."""
        return math.isfinite(self.fvu)


@torch.no_grad()
def figures_of(output: Any, scale: float, dead: float) -> Figures:
    """Compute the figures of a sae-lens training step. scale: factor applied to its inputs [n, d_in]."""
    x, x_hat = output.sae_in.float(), output.sae_out.float()
    error = (x_hat - x).square().sum()
    variance = (x - x.mean(dim=0)).square().sum()
    l0 = output.feature_acts.bool().float().sum(-1).to_dense().mean()
    return Figures((error / variance).item(), l0.item(), dead, error.item() / x.numel() / scale**2)


@dataclass
class Curves:
    """Figures over training; positions: number of training positions at each point."""

    positions: list[int] = field(default_factory=list)
    fvu: list[float] = field(default_factory=list)
    l0: list[float] = field(default_factory=list)
    dead: list[float] = field(default_factory=list)
    mse: list[float] = field(default_factory=list)

    def add(self, positions: int, figures: Figures) -> None:
        """Append a point."""
        self.positions.append(positions)
        for name, value in figures._asdict().items():
            getattr(self, name).append(value)

    def to_json(self) -> dict[str, list[float]]:
        """Return the curves as stored in quality.json."""
        return asdict(self)


def is_point(step: int, n_steps: int) -> bool:
    """Return whether curves have a point at this step (1 to n_steps); the last step always does."""
    return step == n_steps or step % math.ceil(n_steps / POINTS) == 0
