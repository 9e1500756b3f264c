"""Reconstruction quality of an SAE: statistics that can be merged over batches, shards and runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch

from saefari.saes.encode import Codes, reconstruct
from saefari.saes.load import LoadedSae, centred


@dataclass(frozen=True)
class Quality:
    """Reconstruction statistics over valid positions."""

    n_positions: int
    squared_error: float
    """Sum of |x - x_hat|^2 over positions."""
    mean: np.ndarray
    """float64 [d_in], mean of x."""
    scatter: float
    """Sum of |x - mean|^2 over positions."""
    counts: np.ndarray
    """int64 [d_sae], number of positions at which each latent is active."""

    @classmethod
    @torch.no_grad()
    def measure(cls, loaded: LoadedSae, hidden: torch.Tensor, codes: Codes) -> Quality:
        """Compute the statistics of hidden states [n, d_in] and their codes."""
        counts = np.bincount(codes.indices, minlength=loaded.d_sae).astype(np.int64)
        return cls.compare(centred(loaded, hidden), reconstruct(loaded, codes, hidden), counts)

    @classmethod
    @torch.no_grad()
    def compare(cls, x: torch.Tensor, rebuilt: torch.Tensor, counts: np.ndarray) -> Quality:
        """Compute the statistics of float32 SAE inputs [n, d_in] and their reconstructions; counts: see `Quality`."""
        mean = x.mean(dim=0, dtype=torch.float64) if len(x) else x.new_zeros(x.shape[1], dtype=torch.float64)
        return cls(
            n_positions=len(x),
            squared_error=_sum_of_squares(rebuilt - x),
            mean=mean.cpu().numpy(),
            scatter=_sum_of_squares(x - mean.to(x.dtype)),
            counts=counts,
        )

    def merge(self, other: Quality) -> Quality:
        """Combine the statistics of two sets of positions (Chan, Golub and LeVeque 1983)."""
        n = self.n_positions + other.n_positions
        if n == 0:
            return self
        shift = other.mean - self.mean
        weight = other.n_positions / n
        return Quality(
            n_positions=n,
            squared_error=self.squared_error + other.squared_error,
            mean=self.mean + weight * shift,
            scatter=self.scatter + other.scatter + self.n_positions * weight * float(shift @ shift),
            counts=self.counts + other.counts,
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Convert the statistics to arrays for storage; inverse of `from_arrays`."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Quality:
        """Restore statistics from `to_arrays`."""
        return cls(
            n_positions=int(arrays["n_positions"]),
            squared_error=float(arrays["squared_error"]),
            mean=arrays["mean"],
            scatter=float(arrays["scatter"]),
            counts=arrays["counts"],
        )

    def summary(self) -> dict[str, float | int | None]:
        """Return fvu, explained_variance, l0, dead_fraction and n_positions; None if undefined."""
        n = self.n_positions
        fvu = self.squared_error / self.scatter if self.scatter > 0 else None
        return {
            "fvu": fvu,
            "explained_variance": None if fvu is None else 1 - fvu,
            "l0": int(self.counts.sum()) / n if n else None,
            "dead_fraction": float(np.mean(self.counts == 0)) if n else None,
            "n_positions": n,
        }


def _sum_of_squares(x: torch.Tensor) -> float:
    """Sum over all entries; rows in float32, their sum in float64."""
    return float(torch.linalg.vector_norm(x, dim=-1).double().square().sum())
