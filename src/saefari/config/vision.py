"""A vision model to train from scratch (`vision_training`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from saefari.config.convolution import Convolution, grid_side, usual_convolutions
from saefari.config.section import Optional, Place, Section, mistakes
from saefari.names import BASELINES

_USUAL_SHIFT = 8
"""One part of this many of an image's side, unless `shift` says otherwise."""


def _no_baseline(name: str) -> str:
    if name == BASELINES:
        raise ValueError(f"a model may not be called {BASELINES!r}: the store uses that name")
    return name


ModelName = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), AfterValidator(_no_baseline)
]
"""What a model is called, in conf.yaml and as a folder."""


class VisionTraining(Section):
    """An AlexNet-transformer: convolutions, transformer blocks and a classifier, trained on the training rows only."""

    name: ModelName
    """`models[].name` of the entry that reads the trained model; its folder below `models` beside the activations."""
    dataset: Optional = None
    """`name` of the one of `datasets` to train on; none = the first."""
    image_size: Annotated[int, Field(ge=4, le=1024)] = 32
    """Side of the square, in pixels, that images are resized to."""
    conv: Annotated[list[Convolution], Field(min_length=1)] | None = None
    """The convolutions, first to last; none = AlexNet's from 128 pixels on, below that three small ones."""
    hidden_size: Annotated[int, Field(ge=8)] = 64
    layers: Annotated[int, Field(ge=1)] = 3
    """Transformer blocks."""
    heads: Annotated[int, Field(ge=1)] = 4
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 4.0
    """Width of a block's MLP in units of hidden_size."""
    causal: bool = False
    """Whether a cell of the grid sees only those before it, row by row, as a GPT's tokens do."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    epochs: Annotated[int, Field(ge=1)] = 30
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Images in a training step."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3e-3
    """At its highest: it rises over the first twentieth of the steps and falls along a cosine to zero."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.05
    shift: Annotated[int, Field(ge=0)] | None = None
    """Each training image is moved by up to so many pixels; 0 = not at all, none = an eighth of image_size."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 10
    """Each is turned by up to so many degrees either way."""
    zoom: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Each is made larger or smaller by up to this share."""
    flip: bool = False
    """Mirror half of the training images left to right: right for photographs, wrong for digits."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training rows that choose the best epoch and are not learned from."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many epochs without a better accuracy on the validation rows; none = never."""

    @property
    def convolutions(self) -> Sequence[Convolution]:
        """Those given, or the usual ones."""
        return self.conv or usual_convolutions(self.image_size)

    @property
    def most_shifted(self) -> int:
        """Pixels that a training image is moved by at most."""
        return self.image_size // _USUAL_SHIFT if self.shift is None else self.shift

    @model_validator(mode="after")
    def _fits_together(self) -> VisionTraining:
        found: list[tuple[Place, object, str]] = []
        if self.hidden_size % self.heads:
            found.append((("heads",), self.heads, f"does not divide hidden_size {self.hidden_size}"))
        if not grid_side(self.convolutions, self.image_size):
            message = f"leaves nothing of an image of {self.image_size} pixels: take smaller kernels, strides or pools"
            found.append((("conv",), None, message))
        if self.most_shifted >= self.image_size:
            found.append((("shift",), self.shift, f"would move an image of {self.image_size} pixels out of itself"))
        if found:
            raise mistakes(found)
        return self
