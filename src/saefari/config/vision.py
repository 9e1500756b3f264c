"""The section `vision_training`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from saefari.config.convolution import Convolution, default_convolutions, grid_side
from saefari.config.section import Optional, Place, Section, validation_error
from saefari.names import BASELINES

_SHIFT_DIVISOR = 8
"""The default of `shift` is `image_size` divided by this."""


def _no_baseline(name: str) -> str:
    if name == BASELINES:
        raise ValueError(f"the name of a model may not be {BASELINES!r}: it is reserved")
    return name


ModelName = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), AfterValidator(_no_baseline)
]
"""Name of a model in conf.yaml and of its folder."""


class VisionTraining(Section):
    """A vision model to train from scratch, on the training rows only.

    Convolutions turn an image into a grid of cells, a GPT-style transformer reads the cells, and a linear classifier
    reads their mean. See [Train a vision model](training.md#train-a-vision-model-from-scratch).
    """

    name: ModelName
    """Name of the model, of its folder and of its entry in `models` (with `model_type: vit`)."""
    dataset: Optional = None
    """`name` of the dataset to train on; it needs an `image_field`. `null`: the first of `datasets`."""
    image_size: Annotated[int, Field(ge=4, le=1024)] = 32
    """Side, in pixels, of the square that images are resized to."""
    conv: Annotated[list[Convolution], Field(min_length=1)] | None = None
    """The convolutions, first to last. `null`: for images of 128 pixels or more AlexNet's (13 × 13 cells for 224
    pixels), below that three small ones (8 × 8 cells for 8 or 32 pixels)."""
    hidden_size: Annotated[int, Field(ge=8)] = 64
    """Size of the hidden states; a multiple of `heads`."""
    layers: Annotated[int, Field(ge=1)] = 3
    """Number of transformer blocks."""
    heads: Annotated[int, Field(ge=1)] = 4
    """Number of attention heads per block."""
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 4.0
    """Width of a block's MLP as a multiple of `hidden_size`."""
    causal: bool = False
    """If true, a cell attends only to the cells before it, row by row."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout probability."""
    epochs: Annotated[int, Field(ge=1)] = 30
    """Maximum number of passes over the training rows."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Images per training step."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3e-3
    """Maximum learning rate. It rises over the first twentieth of the steps and falls to zero along a cosine."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.05
    """Weight decay."""
    shift: Annotated[int, Field(ge=0)] | None = None
    """Training images are shifted by up to this many pixels. `null`: an eighth of `image_size`."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 10
    """Training images are rotated by up to this many degrees in either direction."""
    zoom: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Training images are enlarged or reduced by up to this share."""
    flip: bool = False
    """Mirror half of the training images horizontally: suitable for photographs, not for digits."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training rows that choose the best epoch, whose weights are kept; they are not trained on."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many epochs without a better accuracy on the validation rows. `null`: never."""

    @property
    def convolutions(self) -> Sequence[Convolution]:
        """The convolutions that are given, or the default ones."""
        return self.conv or default_convolutions(self.image_size)

    @property
    def max_shift(self) -> int:
        """Maximum shift of a training image, in pixels."""
        return self.image_size // _SHIFT_DIVISOR if self.shift is None else self.shift

    @model_validator(mode="after")
    def _check_sizes(self) -> VisionTraining:
        found: list[tuple[Place, object, str]] = []
        if self.hidden_size % self.heads:
            found.append((("heads",), self.heads, f"does not divide hidden_size {self.hidden_size}"))
        if not grid_side(self.convolutions, self.image_size):
            message = f"is too large for an image of {self.image_size} pixels: use smaller kernels, strides or pools"
            found.append((("conv",), None, message))
        if self.max_shift >= self.image_size:
            found.append((("shift",), self.shift, f"must be less than image_size {self.image_size}"))
        if found:
            raise validation_error(found)
        return self
