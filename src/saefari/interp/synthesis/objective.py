"""What gradient ascent on an image maximises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saefari.interp.synthesis.subject import Subject


@dataclass(frozen=True)
class Weights:
    """Weights of what is subtracted from the latent's pre-activation.

    others: of the sum of the other latents' activations, a mean over positions. variation: of the mean squared
    difference of neighbouring pixels. prior: of the mean squared difference from mid-grey.
    """

    others: float = 0.4
    variation: float = 0.3
    prior: float = 0.05


@dataclass(frozen=True)
class Units:
    """Units of the terms. own: [B], of each latent's pre-activation, such as its largest activation in real images.

    others: of the sum of the other latents' activations, such as that of all latents in the start image.
    """

    own: Tensor
    others: float


def objective(subject: Subject, images: Tensor, latents: Sequence[int], units: Units, weights: Weights) -> Tensor:
    """Return the objective of each image, [B], where image b is for latent b.

    It is the largest pre-activation of the latent over positions, minus the penalty on the other latents, the total
    variation and the prior. images: [B, 3, H, W] from 0 to 1.
    """
    hidden = subject.hidden(images)
    value = subject.pre_activations(hidden, latents).amax(dim=1) / units.own
    if weights.others:
        value = value - weights.others / units.others * _others(subject.activations(hidden), latents)
    prior = (images - 0.5).square().mean(dim=(1, 2, 3))
    return value - weights.variation * total_variation(images) - weights.prior * prior


def _others(codes: Tensor, latents: Sequence[int]) -> Tensor:
    """Return the sum of the activations of all latents but latent b, a mean over the positions of image b: [B]."""
    return (codes.sum(dim=2) - _own(codes, latents)).mean(dim=1)


def total_variation(images: Tensor) -> Tensor:
    """Return the mean squared difference of neighbouring pixels of each image, [B]."""
    vertical, horizontal = images.diff(dim=2), images.diff(dim=3)
    return vertical.square().mean(dim=(1, 2, 3)) + horizontal.square().mean(dim=(1, 2, 3))


@torch.no_grad()
def measure(subject: Subject, images: Tensor, latents: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the largest activation of latent b in image b, and the mean activation of the other latents: [B] each.

    The mean is over the other latents and all positions, zeros included.
    """
    codes = subject.activations(subject.hidden(images))
    return _own(codes, latents).amax(dim=1), _others(codes, latents) / max(subject.d_sae - 1, 1)


def _own(codes: Tensor, latents: Sequence[int]) -> Tensor:
    """Return the activations of latent b in image b, [B, P], from [B, P, d_sae]."""
    return codes[torch.arange(len(latents), device=codes.device), :, torch.tensor(latents, device=codes.device)]
