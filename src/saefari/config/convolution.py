"""Stacks of convolutions: what conf.yaml says of one, and the grid of features that it makes of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from saefari.config.section import Section

_SMALL = 128
"""Images with shorter sides than this get small kernels by default: AlexNet's would leave too few cells."""
_POOLED = 12
"""This many cells along a side are made fewer."""
_POOL_STRIDE = 2


class Convolution(Section):
    """One convolution, a ReLU and, where `pool` is not 0, max pooling, as in AlexNet."""

    channels: Annotated[int, Field(ge=1)]
    kernel: Annotated[int, Field(ge=1)] = 3
    stride: Annotated[int, Field(ge=1)] = 1
    padding: Annotated[int, Field(ge=0)] = 1
    pool: Annotated[int, Field(ge=0)] = 0
    """Side of the pooling window, which moves by two; 0 = no pooling."""

    def side_after(self, side: int) -> int:
        """Cells along one side of what comes out of a square of `side` cells; 0 where nothing does."""
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
"""Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), less the pooling at the end:
13 x 13 cells of an image of 224 pixels."""


def grid_side(convolutions: Sequence[Convolution], image_size: int) -> int:
    """Cells along one side of the grid that a stack makes of a square image; 0 where nothing is left of it."""
    side = image_size
    for convolution in convolutions:
        side = convolution.side_after(side) if side else 0
    return side


def usual_convolutions(image_size: int) -> tuple[Convolution, ...]:
    """AlexNet's stack; below 128 pixels three small ones, pooled until about 8 x 8 cells."""
    if image_size >= _SMALL:
        return ALEXNET
    stack, side = [], image_size
    for channels in (32, 64, 64):
        pool = 2 if side >= _POOLED else 0
        stack.append(Convolution(channels=channels, pool=pool))
        side = stack[-1].side_after(side)
    return tuple(stack)
