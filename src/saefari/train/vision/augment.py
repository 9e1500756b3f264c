"""Training images moved and mirrored at random."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def augmented(views: Tensor, most_shifted: int, flip: bool, draws: np.random.Generator) -> Tensor:
    """Each image moved by up to `most_shifted` pixels each way and, with `flip`, half of them mirrored left to right.

    views: uint8 [B, S, S, 3]; the result has the same shape. What is moved in from outside repeats the edge.
    """
    if not most_shifted and not flip:
        return views
    n_images, side = views.shape[:2]
    cells = np.arange(side)
    moved = draws.integers(-most_shifted, most_shifted, size=(2, n_images), endpoint=True)
    down, right = (np.clip(cells + by[:, None], 0, side - 1) for by in moved)
    if flip:
        mirrored = draws.random(n_images) < 0.5
        right[mirrored] = right[mirrored, ::-1]
    image = torch.arange(n_images)[:, None, None]
    return views[image, torch.from_numpy(down)[:, :, None], torch.from_numpy(right)[:, None, :]]
