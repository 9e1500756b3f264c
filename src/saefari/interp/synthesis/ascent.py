"""Gradient ascent on the pixels of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from saefari.interp.synthesis.objective import Units, Weights, objective
from saefari.interp.synthesis.subject import Subject

STEPS = 128
"""Steps of an ascent."""
_RATE = 0.2
_NOISE = 0.1
_SHIFT, _SCALE = 1 / 16, 0.1
"""Largest random shift, in image sizes, and change of the scale."""


def ascend(
    subject: Subject,
    latents: Sequence[int],
    scales: Sequence[float],
    seed: int,
    weights: Weights | None = None,
    steps: int = STEPS,
    grey: bool = False,
) -> Tensor:
    """Return an image for each latent that activates it and leaves the others low: uint8 [B, 3, H, W] on the CPU.

    Pixels are sigmoids of free parameters, so that they stay in the range of real images. Each step maximises the
    objective of a shifted and scaled copy (Adam). Shifts and scales shrink to nothing, so that the end of the ascent is
    about the image itself; the penalty on the others grows from nothing, since it would keep the latent from becoming
    active. The start (grey with noise) and the random moves depend on the seed only, so that a latent's image does not
    depend on the other latents of the batch. Deterministic on a CPU.
    scales: the latents' largest activations in real images. grey: without colour, as the real images are.
    """
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn((1 if grey else 3, *subject.shape[1:]), generator=generator) * _NOISE
    parameters = start.repeat(len(latents), 1, 1, 1).to(subject.device).requires_grad_()
    units = _units(subject, scales, parameters)
    optimiser = torch.optim.Adam([parameters], lr=_RATE)
    weights = weights or Weights()
    for step in range(steps):
        progress = step / steps
        images = _moved(_images(parameters), 1 - progress, generator)
        now = replace(weights, others=progress * weights.others)
        loss = -objective(subject, images, latents, units, now).sum()
        (parameters.grad,) = torch.autograd.grad(loss, [parameters])
        optimiser.step()
    return (_images(parameters.detach()) * 255).round().to(torch.uint8).cpu()


@torch.no_grad()
def _units(subject: Subject, scales: Sequence[float], start: Tensor) -> Units:
    """Return the units of the objective; for the other latents what all have together in the start image."""
    others = float(subject.activations(subject.hidden(_images(start[:1]))).sum(dim=2).mean())
    return Units(torch.tensor(scales, dtype=torch.float32, device=subject.device), others or 1.0)


def _images(parameters: Tensor) -> Tensor:
    """Return images [B, 3, H, W] from parameters of one channel or three."""
    return parameters.sigmoid().expand(-1, 3, -1, -1)


def _moved(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Return images shifted and scaled at random, all alike; the border is mirrored. amount: from 0 to 1."""
    scale, vertical, horizontal = ((torch.rand(3, generator=generator) * 2 - 1) * amount).tolist()
    factor = 1 + _SCALE * scale
    move = torch.tensor(
        [[factor, 0, 2 * _SHIFT * horizontal], [0, factor, 2 * _SHIFT * vertical]], device=images.device
    )
    grid = functional.affine_grid(move.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
