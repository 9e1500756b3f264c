"""Stacks of convolutions: the section `vision_training.conv`, and the size of the feature grid of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from saefari.config.section import Section

_SMALL = 128
"""Side in pixels below which the default kernels are small; AlexNet's would leave too few cells."""
_MIN_POOLED_SIDE = 12
"""Side in cells from which a default convolution is followed by pooling."""
_POOL_STRIDE = 2


class Convolution(Section):
    """One convolution, a ReLU and, if `pool` is not 0, max pooling, as in AlexNet. `conv` is a list of these."""

    channels: Annotated[int, Field(ge=1)]
    """Output channels."""
    kernel: Annotated[int, Field(ge=1)] = 3
    """Side of the kernel, in cells."""
    stride: Annotated[int, Field(ge=1)] = 1
    """Stride, in cells."""
    padding: Annotated[int, Field(ge=0)] = 1
    """Zero padding on each side, in cells."""
    pool: Annotated[int, Field(ge=0)] = 0
    """Side of the max-pooling window, with stride 2. 0: no pooling."""

    def side_after(self, side: int) -> int:
        """Return the side of the output for a square input of `side` cells; 0 if the output is empty."""
        padded = side + 2 * self.padding
        side = (padded - self.kernel) // self.stride + 1 if padded >= self.kernel else 0
        if self.pool:
            side = (side - self.pool) // _POOL_STRIDE + 1 if side >= self.pool else 0
        return side


ALEXNET = (
    Convolution(channels=64, kernel=11, stride=4, padding=2, pool=3),
    Convolution(channels=192, kernel=5, padding=2, pool=3),
    Convolution(channels=384),
    Convolution(channels=256),
    Convolution(channels=256),
)
"""Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), without the final pooling:
13 x 13 cells for an image of 224 pixels."""


def grid_side(convolutions: Sequence[Convolution], image_size: int) -> int:
    """Return the side, in cells, of the grid that a stack makes of a square image; 0 if nothing is left."""
    side = image_size
    for convolution in convolutions:
        side = convolution.side_after(side) if side else 0
    return side


def default_convolutions(image_size: int) -> tuple[Convolution, ...]:
    """Return AlexNet's stack; below 128 pixels three small convolutions, pooled to about 8 x 8 cells."""
    if image_size >= _SMALL:
        return ALEXNET
    stack, side = [], image_size
    for channels in (32, 64, 64):
        pool = 2 if side >= _MIN_POOLED_SIDE else 0
        stack.append(Convolution(channels=channels, pool=pool))
        side = stack[-1].side_after(side)
    return tuple(stack)
