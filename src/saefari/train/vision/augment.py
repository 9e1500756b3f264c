"""Random shift, rotation, zoom and mirroring of training images."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from saefari.config import VisionTraining


def augment(images: Tensor, training: VisionTraining, draws: np.random.Generator) -> Tensor:
    """Transform each image by its own random amounts, uniform within the section's limits; flip with probability 1/2.

    images: float [B, C, S, S]; the result has the same shape. Pixels outside the image repeat its border.
    """
    if not (training.max_shift or training.rotate or training.zoom or training.flip):
        return images
    n_images, _, side, _ = images.shape
    angle = np.radians(draws.uniform(-training.rotate, training.rotate, n_images))
    scale = np.exp(draws.uniform(-1, 1, n_images) * math.log1p(training.zoom))
    shift = draws.uniform(-1, 1, (2, n_images)) * training.max_shift * 2 / side  # an image spans two units
    mirror = draws.choice([-1.0, 1.0], n_images) if training.flip else np.ones(n_images)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    rows = np.stack([np.stack([mirror * cos, -sin, shift[0]]), np.stack([mirror * sin, cos, shift[1]])])
    theta = torch.from_numpy(rows).permute(2, 0, 1).to(images)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)
