"""What training looks like from outside: figures of a step, and their curves."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch

POINTS = 200
"""Points of a curve, at most."""


class Figures(NamedTuple):
    """Of one batch: FVU, mean active latents, latents not active of late, squared error per position and dimension."""

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
    """Figures of a sae-lens training step. scale: what its inputs [n, d_in] were multiplied by."""
    x, x_hat = output.sae_in.float(), output.sae_out.float()
    error = (x_hat - x).square().sum()
    variance = (x - x.mean(dim=0)).square().sum()
    l0 = output.feature_acts.bool().float().sum(-1).to_dense().mean()
    return Figures((error / variance).item(), l0.item(), dead, error.item() / x.numel() / scale**2)


@dataclass
class Curves:
    """Figures over training; positions: how many the SAE had seen by then."""

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
        """The curves as quality.json holds them."""
        return asdict(self)


def is_point(step: int, n_steps: int) -> bool:
    """Whether a curve has a point after this step (1 to n_steps); the last step always has one."""
    return step == n_steps or step % math.ceil(n_steps / POINTS) == 0
