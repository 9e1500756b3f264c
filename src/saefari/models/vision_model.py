"""A vision transformer, alone or as the tower of CLIP or SigLIP: its image reader and hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint, capture
from saefari.models.image_input import Reading, image_from_pixels
from saefari.models.image_processor import check_shape, load_image_processor, pixel_range, processor_digest
from saefari.models.pretrained import load_weights, pick_device, pick_dtype
from saefari.models.registry import ModelInfo, describe, read_config, resolve_model, vision_config


class VisionReader:
    """A reader of images, without the model's weights."""

    def __init__(self, name: str, processor: Any, config: Any, positions: str) -> None:
        """config: of the vision transformer. positions: patches, cls or all. Raises ModelError for cls without one."""
        self._processor = processor
        self._config = config
        self._positions = positions
        self.digest = processor_digest(processor)
        self.pixel_range = pixel_range(processor)
        """Pixel values of black and of white, [3, 1, 1] each."""
        self._n_before = _positions_before_patches(name, config, self._pixels(Image.new("RGB", (64, 48))))
        if positions == "cls" and self._n_before == 0:
            raise ModelError(no_class_position(name))

    @classmethod
    def load(cls, name: str, revision: str | None = None, positions: str = "patches") -> VisionReader:
        """Load by the model's name. Raises ModelError if it cannot be found, reached or used safely."""
        location, _ = resolve_model(name, revision)
        processor = load_image_processor(describe(name, revision, model_type="vit"), location)
        return cls(name, processor, vision_config(read_config(name, revision)), positions)

    def read(self, image: Image.Image, text: str | None = None) -> Reading:
        """Preprocess an image with the model's processor; `text` is ignored."""
        pixels = self._pixels(image)
        rows, columns = grid = _grid(self._config, pixels.shape)
        cells = np.concatenate([np.full(self._n_before, -1), np.arange(rows * columns)]).astype(np.int32)
        counts = {"cls": np.arange(len(cells)) == 0, "patches": cells >= 0}.get(self._positions)
        valid = np.arange(len(cells)) if counts is None else np.flatnonzero(counts)
        return Reading(
            input_ids=np.zeros(0, dtype=np.int32),
            length=len(cells),
            valid=valid.astype(np.int32),
            spans=np.zeros((len(valid), 2), dtype=np.int32),
            grid=grid,
            patch=cells[valid],
            model_input={"pixel_values": pixels},
            view=image_from_pixels(pixels, self._processor),
        )

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        """Preprocess an image to float32 [3, H, W]."""
        check_shape(self._processor, image)
        try:
            pixels = self._processor([image], return_tensors="pt")["pixel_values"][0]
        except (ValueError, ZeroDivisionError) as error:
            size = f"{image.width} x {image.height}"
            raise ModelError(f"the model cannot take an image of {size} pixels: {error}") from None
        assert isinstance(pixels, torch.Tensor)
        return pixels


class VisionModel:
    """A vision transformer without its head."""

    def __init__(self, info: ModelInfo, model: Any) -> None:
        """Combine loaded parts; use `load` to load them."""
        self.info = info
        self.d_model = info.d_model
        self.model = model
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype

    @classmethod
    def load(cls, name: str, revision: str | None = None, dtype: str = "auto", device: str = "auto") -> VisionModel:
        """Load a model by local path or hub id, in evaluation mode with frozen weights; see `TextModel.load`."""
        target = pick_device(device)
        info = describe(name, revision, model_type="vit")
        model = load_weights(info, resolve_model(name, revision)[0], pick_dtype(dtype, target), vision_part)
        return cls(info, model.to(target))

    def capture(
        self, inputs: Sequence[dict[str, torch.Tensor]], hooks: Sequence[HookPoint]
    ) -> dict[HookPoint, torch.Tensor]:
        """Return hidden states of a batch of images, from forward passes that stop after the deepest hook.

        inputs: pixel_values [3, H_i, W_i] each; images of equal size share a forward pass. Returns [B, T, d] per hook
        on the model's device in its dtype; T = the largest number of positions.
        """
        shapes: dict[torch.Size, list[int]] = {}
        for i, row in enumerate(inputs):
            shapes.setdefault(row["pixel_values"].shape, []).append(i)
        parts = [(rows, self._forward([inputs[i]["pixel_values"] for i in rows], hooks)) for rows in shapes.values()]
        if len(parts) == 1:
            return parts[0][1]
        return {hook: _merged([(rows, found[hook]) for rows, found in parts], len(inputs)) for hook in hooks}

    def hidden_states(self, pixels: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        """Return hidden states [B, T, d] of images [B, 3, H, W], differentiable by their pixels."""
        return self._run(pixels, [hook])[hook]

    def _forward(self, pixels: Sequence[torch.Tensor], hooks: Sequence[HookPoint]) -> dict[HookPoint, torch.Tensor]:
        with torch.inference_mode():
            return self._run(torch.stack(list(pixels)), hooks)

    def _run(self, pixels: torch.Tensor, hooks: Sequence[HookPoint]) -> dict[HookPoint, torch.Tensor]:
        with capture(self.model, hooks) as found:
            self.model(pixel_values=pixels.to(self.device, self.dtype, non_blocking=True))
        return found


def vision_part(model: Any) -> Any:
    """Return the vision tower of a model that has one, else the model."""
    for name in ("vision_model", "vision_tower"):
        if vision_config(model.config) is not model.config and hasattr(model, name):
            return getattr(model, name)
    return model


def no_class_position(model: str) -> str:
    """Return the error message of `positions: cls` for a model without a class token."""
    return f"'cls' selects the class token before an image's patches, and {model!r} has none: use patches or all"


def _merged(parts: Sequence[tuple[list[int], torch.Tensor]], n_rows: int) -> torch.Tensor:
    """Merge parts of a batch into [B, T, d], with zeros beyond a row's own positions."""
    first = parts[0][1]
    merged = first.new_zeros(n_rows, max(states.shape[1] for _, states in parts), first.shape[2])
    for rows, states in parts:
        merged[rows, : states.shape[1]] = states
    return merged


def _grid(config: Any, shape: torch.Size) -> tuple[int, int]:
    """Return the rows and columns of patches of an image [3, H, W]; a convolutional stem has its own `grid`."""
    own = getattr(config, "grid", None)
    if own is not None:
        return int(own[0]), int(own[1])
    size = config.patch_size
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    return shape[1] // height, shape[2] // width


def _positions_before_patches(name: str, config: Any, pixels: torch.Tensor) -> int:
    """Count the positions (class, distillation, register tokens) before the patches, by a pass on the meta device.

    Raises ModelError if the model rejects the images of its processor.
    """
    from transformers import AutoModel

    auto: Any = AutoModel
    hook = HookPoint(0, "resid_pre")
    try:
        with torch.device("meta"):
            skeleton = vision_part(auto.from_config(config)).eval()
        with torch.no_grad(), capture(skeleton, [hook]) as found:
            skeleton(pixel_values=pixels[None].to("meta"))
    except (ValueError, RuntimeError, TypeError) as error:
        size = "x".join(map(str, pixels.shape))
        raise ModelError(f"model {name!r} rejects the images [{size}] of its processor: {error}") from None
    rows, columns = _grid(config, pixels.shape)
    n_before = int(found[hook].shape[1]) - rows * columns
    if n_before < 0:
        raise ModelError(f"model {name!r}: its patches do not form a grid of {rows} x {columns} positions")
    return n_before
