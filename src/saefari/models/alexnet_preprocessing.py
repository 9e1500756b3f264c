"""Preprocessing of an AlexNet-transformer: resize to a square, scale to [-1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

_MIDDLE = 0.5


def processor_config(image_size: int) -> dict[str, Any]:
    """Return the model's preprocessor_config.json, which makes transformers do what `view` and `pixel_values` do."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": image_size, "width": image_size},
        "resample": int(Image.Resampling.BILINEAR),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [_MIDDLE] * 3,
        "image_std": [_MIDDLE] * 3,
    }


def view(image: Image.Image, image_size: int) -> np.ndarray:
    """Resize an RGB image to the model's size: uint8 [image_size, image_size, 3]."""
    return np.asarray(image.resize((image_size, image_size), Image.Resampling.BILINEAR))


def pixel_values(views: Tensor) -> Tensor:
    """Turn views, uint8 [B, S, S, 3], into the model's input, float32 [B, 3, S, S]."""
    return views.permute(0, 3, 1, 2).float().div(255).sub(_MIDDLE).div(_MIDDLE).contiguous()
