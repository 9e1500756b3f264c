"""Random shift, rotation, zoom and mirroring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saefari.config import VisionTraining
from saefari.train.vision.augment import augment

OFF = {"shift": 0, "rotate": 0, "zoom": 0, "flip": False}
SIDE = 16


def section(**more: Any) -> VisionTraining:
    return VisionTraining(**{"name": "x", "image_size": SIDE, **OFF, **more})


def drawn(images: Tensor, seed: int = 0, **more: Any) -> Tensor:
    return augment(images, section(**more), np.random.default_rng(seed))


def blob(row: int = 8, column: int = 8) -> Tensor:
    """Create images of a smooth spot on black, [64, 3, S, S]."""
    cells = torch.arange(SIDE) + 0.5
    spot = torch.exp(-((cells[:, None] - row) ** 2 + (cells[None] - column) ** 2) / 4)
    return spot.expand(64, 3, SIDE, SIDE).contiguous()


def centre(images: Tensor) -> Tensor:
    """Return row and column of the spots' centres of mass, [n, 2]."""
    cells, mass = torch.arange(SIDE) + 0.5, images[:, 0]
    at = torch.stack([(mass.sum(2) * cells).sum(1), (mass.sum(1) * cells).sum(1)], 1)
    return at / mass.sum((1, 2))[:, None]


def test_no_augmentation_returns_the_images_unchanged() -> None:
    assert drawn(blob()) is not None
    assert torch.equal(drawn(blob()), blob())


def test_shifts_are_bounded_in_every_direction() -> None:
    moved = centre(drawn(blob(), shift=3)) - 8
    assert moved.abs().max() < 3.1
    assert (moved.amax(0) > 2).all()
    assert (moved.amin(0) < -2).all()
    assert torch.unique(moved[:, 0]).numel() > 30, "each image has its own amounts"


def test_rotation_is_about_the_centre() -> None:
    at = centre(drawn(blob(8, 13), rotate=20)) - 8
    angles = torch.rad2deg(torch.atan2(at[:, 0], at[:, 1]))
    assert 15 < angles.max() < 21
    assert -21 < angles.min() < -15
    torch.testing.assert_close(at.norm(dim=1), torch.full((64,), 5.0), rtol=0.05, atol=0)


def test_zoom_enlarges_and_shrinks() -> None:
    distances = (centre(drawn(blob(8, 12), zoom=0.25)) - 8).norm(dim=1)
    assert 4.6 < distances.max() < 5.1
    assert 3.1 < distances.min() < 3.5


def test_half_of_the_images_are_mirrored() -> None:
    images = torch.rand(64, 3, SIDE, SIDE)
    found = drawn(images, flip=True)
    same = torch.isclose(found, images, atol=1e-5).flatten(1).all(1)
    mirrored = torch.isclose(found, images.flip(3), atol=1e-5).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 16 < same.sum() < 48


@pytest.mark.parametrize("more", [{"shift": 4}, {"rotate": 45}, {"zoom": 0.5}, {"flip": True}])
def test_results_depend_on_the_draws(more: dict[str, Any]) -> None:
    images = torch.rand(8, 3, SIDE, SIDE)
    assert torch.equal(drawn(images, 1, **more), drawn(images, 1, **more))
    assert not torch.equal(drawn(images, 1, **more), drawn(images, 2, **more))


def test_the_border_is_repeated() -> None:
    torch.testing.assert_close(
        drawn(torch.full((8, 3, SIDE, SIDE), 0.7), shift=8, rotate=30), torch.full((8, 3, 16, 16), 0.7)
    )
