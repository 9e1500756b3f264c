"""A small vision model: a GPT-style transformer on the feature grid of AlexNet convolutions.

Shapes: B images, C channels, a grid of R x S cells, T = R * S positions in row-major order, d = hidden_size.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from transformers import AutoModel, AutoModelForImageClassification, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, ImageClassifierOutput

from saefari.models.alexnet_transformer_config import AlexNetTransformerConfig


class ResidualProjection(nn.Linear):
    """A linear layer that adds to the residual stream; its initial weights shrink with the number of blocks."""


class Attention(nn.Module):
    """Multi-head self-attention; with `causal`, a position attends only to itself and earlier ones."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__()
        self.n_heads, self.causal, self.dropout = config.num_attention_heads, config.causal, config.dropout
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.projection = ResidualProjection(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Map [B, T, d] to the same shape."""
        q, k, v = self.qkv(hidden_states).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        heads = scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=self.causal)
        projected: Tensor = self.projection(heads.transpose(1, 2).flatten(2))
        return projected


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__()
        width = round(config.mlp_ratio * config.hidden_size)
        self.up = nn.Linear(config.hidden_size, width)
        self.activation = nn.GELU()
        self.down = ResidualProjection(width, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Map [B, T, d] to the same shape."""
        projected: Tensor = self.down(self.activation(self.up(hidden_states)))
        return projected


class Block(nn.Module):
    """A pre-norm transformer block, as in GPT-2."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Map the residual stream [B, T, d] before the block to the one after it."""
        hidden_states = hidden_states + self.dropout(self.attention(self.attention_norm(hidden_states)))
        stream: Tensor = hidden_states + self.dropout(self.mlp(self.mlp_norm(hidden_states)))
        return stream


class Embedding(nn.Module):
    """Convolutions, then one vector per grid cell plus a learned position embedding."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__()
        rows, columns = config.grid
        self.image_size, self.num_channels = config.image_size, config.num_channels
        layers: list[nn.Module] = []
        channels = config.num_channels
        for one in config.stack:
            layers += [nn.Conv2d(channels, one.channels, one.kernel, one.stride, one.padding), nn.ReLU()]
            layers += [nn.MaxPool2d(one.pool, stride=2)] if one.pool else []
            channels = one.channels
        self.convolutions = nn.Sequential(*layers)
        same = channels == config.hidden_size
        self.projection = nn.Identity() if same else nn.Linear(channels, config.hidden_size)
        self.positions = nn.Parameter(torch.zeros(1, rows * columns, config.hidden_size))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Map [B, num_channels, image_size, image_size] to [B, T, d]. Raises ValueError for another image shape."""
        expected = (self.num_channels, self.image_size, self.image_size)
        if tuple(pixel_values.shape[1:]) != expected:
            raise ValueError(f"pixel_values is {list(pixel_values.shape)}, but an image must be {list(expected)}")
        features = self.convolutions(pixel_values.to(self.positions.dtype)).flatten(2).transpose(1, 2)
        embedded: Tensor = self.projection(features) + self.positions
        return embedded


class AlexNetTransformerPreTrainedModel(PreTrainedModel):
    """Base class of the model and its classifier: configuration, initial weights, safetensors files."""

    config_class = AlexNetTransformerConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = "image"
    _no_split_modules = ["Block"]  # noqa: RUF012  as transformers declares it
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialise as GPT-2: normal weights, scaled down in residual projections; He for convolutions."""
        std = self.config.initializer_range
        if isinstance(module, ResidualProjection):
            std /= math.sqrt(2 * self.config.num_hidden_layers)
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, Embedding):
            nn.init.normal_(module.positions, std=std)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.LayerNorm)) and module.bias is not None:
            nn.init.zeros_(module.bias)


class AlexNetTransformerModel(AlexNetTransformerPreTrainedModel):
    """The model without a head."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__(config)
        self.embedding = Embedding(config)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.num_hidden_layers)])
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **_: Any) -> BaseModelOutput:
        """Compute final hidden states [B, T, d], after the final norm, of images [B, num_channels, size, size].

        output_hidden_states: also return the embedding and each block's output; `hidden_states[L + 1]` is that of
        block L. The last one is before the final norm.
        """
        states = self.embedding(pixel_values)
        stream = [states]
        for block in self.blocks:
            states = block(states)
            stream.append(states)
        collect = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BaseModelOutput(last_hidden_state=self.norm(states), hidden_states=tuple(stream) if collect else None)


class AlexNetTransformerForImageClassification(AlexNetTransformerPreTrainedModel):
    """The model with a linear classifier on the mean over positions."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__(config)
        self.model = AlexNetTransformerModel(config)
        self.classifier = nn.Linear(config.hidden_size, len(config.id2label or {}))
        self.post_init()

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> ImageClassifierOutput:
        """Compute logits [B, num_labels] and, given labels int64 [B], the mean cross-entropy in nats."""
        output = self.model(pixel_values, output_hidden_states)
        logits = self.classifier(output.last_hidden_state.mean(dim=1))
        loss = None if labels is None else cross_entropy(logits.float(), labels)
        return ImageClassifierOutput(loss=loss, logits=logits, hidden_states=output.hidden_states)


AutoModel.register(AlexNetTransformerConfig, AlexNetTransformerModel, exist_ok=True)
AutoModelForImageClassification.register(
    AlexNetTransformerConfig, AlexNetTransformerForImageClassification, exist_ok=True
)
