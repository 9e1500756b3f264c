"""Load a model's image processor, check images against it, and fingerprint it."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from saefari.errors import ModelError
from saefari.fingerprint import fingerprint
from saefari.models.pretrained import quiet
from saefari.models.registry import ModelInfo, read_cache_first

MOST_PIXELS = 2**24
"""Maximum pixels of an image after resizing and before cropping: 200 MB as floats."""


def load_image_processor(info: ModelInfo, location: str) -> Any:
    """Load the model's image processor with the Pillow backend; others resize differently and may be missing.

    Raises ModelError if the model has none.
    """
    from transformers import AutoImageProcessor

    auto: Any = AutoImageProcessor

    def read(local_files_only: bool) -> Any:
        return auto.from_pretrained(
            location,
            revision=info.revision,
            local_files_only=local_files_only,
            trust_remote_code=False,
            backend="pil",
        )

    with quiet():
        processor = read_cache_first(info.name, read, reach_hub=info.source == "hub")
    if not hasattr(processor, "do_normalize"):
        raise ModelError(f"model {info.name!r}: its preprocessor reads no images")
    return processor


def check_shape(processor: Any, image: Image.Image) -> None:
    """Raise ModelError for an image that becomes too large when its shorter side is resized to the processor's size."""
    size = processor.size if processor.do_resize else None
    bounded = getattr(size, "longest_edge", None) is not None  # Qwen: its "edges" are pixel counts
    shortest = None if bounded else getattr(size, "shortest_edge", None)
    if shortest and shortest**2 * max(image.size) / min(image.size) > MOST_PIXELS:
        raise ModelError(
            f"an image of {image.width} x {image.height} pixels is too thin: with its shorter side resized to "
            f"{shortest} it would have more than {MOST_PIXELS:,} pixels"
        )


def pixel_range(processor: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pixel values of black and of white, [3, 1, 1] each: what the processor makes of 0 and 255."""
    ends = torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    if processor.do_rescale:
        ends = ends * processor.rescale_factor
    if processor.do_normalize:
        mean, std = (torch.tensor(getattr(processor, name)).view(-1, 1, 1) for name in ("image_mean", "image_std"))
        ends = (ends - mean) / std
    return ends[0], ends[1]


def processor_digest(processor: Any) -> str:
    """Return a digest of everything that shapes the processor's pixels."""
    settings = {key: value for key, value in processor.to_dict().items() if not key.startswith("_")}
    settings.pop("transformers_version", None)
    return fingerprint(_plain(settings))


def _plain(value: Any) -> Any:
    """Convert a setting to JSON-able types."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
