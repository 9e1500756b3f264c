"""Reading a model's image processor, and how many patches it makes of an image."""

from __future__ import annotations

from typing import Any

from PIL import Image

from saefari.errors import ModelError
from saefari.fingerprint import fingerprint
from saefari.models.pretrained import quiet
from saefari.models.registry import ModelInfo, read_cache_first

MOST_PIXELS = 2**24
"""Pixels that an image may have after it is resized and before it is cropped: 200 MB as floats."""


def load_image_processor(info: ModelInfo, location: str) -> Any:
    """How the model's pixels are made, by Pillow: other backends resize otherwise, and are not installed everywhere.

    Raises ModelError where the model has none.
    """
    from transformers import AutoImageProcessor

    auto: Any = AutoImageProcessor

    def read(local_files_only: bool) -> Any:
        """The processor."""
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
    """Raises ModelError for an image that is enormous once its shorter side is brought to the processor's size."""
    size = processor.size if processor.do_resize else None
    bounded = getattr(size, "longest_edge", None) is not None  # Qwen's, whose edges are numbers of pixels
    shortest = None if bounded else getattr(size, "shortest_edge", None)
    if shortest and shortest**2 * max(image.size) / min(image.size) > MOST_PIXELS:
        raise ModelError(
            f"an image of {image.width} x {image.height} pixels is too thin: with its shorter side brought to "
            f"{shortest} it would have more than {MOST_PIXELS:,} pixels"
        )


def processor_digest(processor: Any) -> str:
    """Changes whenever the pixels that a processor makes would."""
    settings = {key: value for key, value in processor.to_dict().items() if not key.startswith("_")}
    settings.pop("transformers_version", None)
    return fingerprint(_plain(settings))


def _plain(value: Any) -> Any:
    """A setting as JSON would have it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
