"""Evaluation of a trained SAE on held-out hidden states, for quality.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from saefari.saes.encode import encode, reconstruct
from saefari.saes.load import LoadedSae, centred
from saefari.saes.quality import Quality
from saefari.store.trained_saes import log10_density
from saefari.train.density import find_cluster

BLOCK_POSITIONS = 8192
"""Maximum positions whose codes are in memory."""
DENSE = 0.1
"""A latent active at a larger share of positions is dense."""


@dataclass(frozen=True)
class Evaluation:
    """Statistics of an SAE over held-out positions."""

    quality: Quality
    activation_sum: float
    """Sum of all activations over all positions."""
    cosine_sum: float
    """Sum of the cosines between state and reconstruction; 0 if either is zero."""

    @classmethod
    @torch.no_grad()
    def measure(cls, loaded: LoadedSae, hidden: torch.Tensor) -> Evaluation:
        """Compute the statistics of hidden states [n, d_in], centred first if the SAE needs it."""
        codes = encode(loaded, hidden)
        x, rebuilt = centred(loaded, hidden), reconstruct(loaded, codes, hidden)
        counts = np.bincount(codes.indices, minlength=loaded.d_sae).astype(np.int64)
        return cls(
            quality=Quality.compare(x, rebuilt, counts),
            activation_sum=float(codes.values.sum(dtype=np.float64)),
            cosine_sum=float(cosine_similarity(x, rebuilt, dim=-1).double().sum()),
        )

    def merge(self, other: Evaluation) -> Evaluation:
        """Combine the statistics of two sets of positions."""
        return Evaluation(
            self.quality.merge(other.quality),
            self.activation_sum + other.activation_sum,
            self.cosine_sum + other.cosine_sum,
        )

    @property
    def counts(self) -> np.ndarray:
        """int64 [d_sae], number of positions at which each latent is active."""
        return self.quality.counts

    @property
    def log10_density(self) -> np.ndarray:
        """float32 [d_sae], -inf for a latent that is never active."""
        return log10_density(self.counts, self.quality.n_positions)

    def summary(self) -> dict[str, Any]:
        """Return the figures of quality.json that come from activations, JSON-able; None if undefined.

        fvu, explained_variance, l0, dead_fraction and n_positions: see `Quality`; mse: mean over positions and
        dimensions; l1: mean over positions of the sum of activations; dense_fraction: share of all latents;
        cosine: mean over positions; ultra_low_density: see `find_cluster`.
        """
        n = self.quality.n_positions
        return {
            **self.quality.summary(),
            "mse": self.quality.squared_error / (n * len(self.quality.mean)) if n else None,
            "l1": self.activation_sum / n if n else None,
            "dense_fraction": float(np.mean(self.counts > DENSE * n)) if n else None,
            "cosine": self.cosine_sum / n if n else None,
            "ultra_low_density": find_cluster(self.log10_density).summary(),
        }


def evaluate(loaded: LoadedSae, hidden: Iterable[torch.Tensor]) -> Evaluation:
    """Measure an SAE on blocks of hidden states [n, d_in], with bounded additional memory."""
    parts = (part for block in hidden for part in torch.split(block, BLOCK_POSITIONS))
    empty = Evaluation(Quality(0, 0.0, np.zeros(loaded.d_in), 0.0, np.zeros(loaded.d_sae, np.int64)), 0.0, 0.0)
    return reduce(Evaluation.merge, (Evaluation.measure(loaded, part) for part in parts), empty)
