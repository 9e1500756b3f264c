"""Normalise each position separately, as sae-lens does when such an SAE runs.

sae-lens' trainers would undo the normalisation before the loss, which is incompatible with their auxiliary loss for
dead latents. Here the SAE is trained on normalised inputs, and the rule is set when it is saved.
"""

from __future__ import annotations

import math

import torch

from saefari.config import SaeTraining

PER_POSITION = ("constant_norm_rescale", "layer_norm")
_EPSILON = 1e-5


def is_per_position(training: SaeTraining) -> bool:
    """Return whether the SAE normalises each position, instead of using one scale for all."""
    return training.normalize_activations in PER_POSITION


def normalised(x: torch.Tensor, how: str) -> torch.Tensor:
    """Normalise each position of x [n, d] by sae-lens' rule `how`; other rules return x unchanged.

    constant_norm_rescale: to the norm d^1/2. layer_norm: to mean 0 and standard deviation 1.
    """
    if how == "constant_norm_rescale":
        norms: torch.Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x * math.sqrt(x.shape[-1]) / norms
    if how == "layer_norm":
        centred = x - x.mean(dim=-1, keepdim=True)
        spread: torch.Tensor = centred.std(dim=-1, keepdim=True)
        return centred / (spread + _EPSILON)
    return x
