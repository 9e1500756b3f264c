"""The AlexNet-transformer's config.json, and its registration with transformers' auto classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from saefari.config import Convolution, default_convolutions, grid_side


class AlexNetTransformerConfig(PreTrainedConfig):
    """Shape of an AlexNet-transformer; the default is for images of 224 pixels."""

    model_type = "alexnet_transformer"

    def __init__(
        self,
        image_size: int = 224,
        num_channels: int = 3,
        convolutions: Sequence[dict[str, int]] | None = None,
        hidden_size: int = 256,
        num_hidden_layers: int = 6,
        num_attention_heads: int = 8,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        causal: bool = False,
        layer_norm_eps: float = 1e-5,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ) -> None:
        """convolutions: see `saefari.config.Convolution`; None = `usual_convolutions` for the image size.

        Raises ValueError if hidden_size is no multiple of the number of heads, or the grid is empty.
        """
        given = default_convolutions(image_size) if convolutions is None else convolutions
        self.image_size = image_size
        self.num_channels = num_channels
        self.convolutions = [Convolution.model_validate(one).model_dump() for one in given]
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.causal = causal
        self.layer_norm_eps = layer_norm_eps
        self.initializer_range = initializer_range
        if hidden_size % num_attention_heads:
            raise ValueError(f"hidden_size {hidden_size} is no multiple of num_attention_heads {num_attention_heads}")
        if not all(self.grid):
            raise ValueError(f"the convolutions reduce an image of {image_size} pixels to an empty grid")
        super().__init__(**kwargs)

    @property
    def stack(self) -> tuple[Convolution, ...]:
        """The convolutions as objects."""
        return tuple(Convolution(**one) for one in self.convolutions)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells; the transformer reads them in row-major order."""
        side = grid_side(self.stack, self.image_size)
        return side, side


def register() -> None:
    """Register the configuration, so that auto classes read it from a folder without code from that folder."""
    AutoConfig.register(AlexNetTransformerConfig.model_type, AlexNetTransformerConfig, exist_ok=True)
