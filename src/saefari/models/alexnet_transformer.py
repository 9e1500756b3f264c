"""A small vision model: an AlexNet's convolutions make a grid of features, which a GPT-style transformer reads.

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


class IntoStream(nn.Linear):
    """A matrix whose output is added to the residual stream: it begins the smaller, the more blocks add to it."""


class Attention(nn.Module):
    """Multi-head self-attention; with `causal`, no position sees those after it."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__()
        self.n_heads, self.causal, self.dropout = config.num_attention_heads, config.causal, config.dropout
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.projection = IntoStream(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[B, T, d] to the same shape."""
        q, k, v = self.qkv(hidden_states).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        heads = scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=self.causal)
        projected: Tensor = self.projection(heads.transpose(1, 2).flatten(2))
        return projected


class MLP(nn.Module):
    """Two matrices with a GELU between them."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__()
        width = round(config.mlp_ratio * config.hidden_size)
        self.up = nn.Linear(config.hidden_size, width)
        self.activation = nn.GELU()
        self.down = IntoStream(width, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[B, T, d] to the same shape."""
        projected: Tensor = self.down(self.activation(self.up(hidden_states)))
        return projected


class Block(nn.Module):
    """A transformer block that normalises before attention and MLP and adds what they give, as GPT-2's."""

    def __init__(self, config: AlexNetTransformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """The residual stream [B, T, d] before and after the block."""
        hidden_states = hidden_states + self.dropout(self.attention(self.attention_norm(hidden_states)))
        stream: Tensor = hidden_states + self.dropout(self.mlp(self.mlp_norm(hidden_states)))
        return stream


class Embedding(nn.Module):
    """Convolutions, then one vector per cell of their grid, with a learned position added."""

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
        """[B, num_channels, image_size, image_size] to [B, T, d]. Raises ValueError for images of another shape."""
        expected = (self.num_channels, self.image_size, self.image_size)
        if tuple(pixel_values.shape[1:]) != expected:
            raise ValueError(f"pixel_values is {list(pixel_values.shape)}, but an image must be {list(expected)}")
        features = self.convolutions(pixel_values.to(self.positions.dtype)).flatten(2).transpose(1, 2)
        embedded: Tensor = self.projection(features) + self.positions
        return embedded


class AlexNetTransformerPreTrainedModel(PreTrainedModel):
    """What the model and its classifier have in common: configuration, first weights, safetensors files."""

    config_class = AlexNetTransformerConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = "image"
    _no_split_modules = ["Block"]  # noqa: RUF012  as transformers declares it
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """GPT-2's: small normal weights, smaller where they add to the residual stream; He's for convolutions."""
        std = self.config.initializer_range
        if isinstance(module, IntoStream):
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
        """Hidden states [B, T, d] of images [B, num_channels, image_size, image_size], after the final norm.

        output_hidden_states: also the embedding and each block's output, `hidden_states[L + 1]` that of block L; the
        last of them is not normalised.
        """
        states = self.embedding(pixel_values)
        stream = [states]
        for block in self.blocks:
            states = block(states)
            stream.append(states)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BaseModelOutput(last_hidden_state=self.norm(states), hidden_states=tuple(stream) if wanted else None)


class AlexNetTransformerForImageClassification(AlexNetTransformerPreTrainedModel):
    """The model with a linear classifier that reads the mean over positions."""

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
        """Logits [B, num_labels]; with labels, int64 [B], their mean cross-entropy in nats too."""
        output = self.model(pixel_values, output_hidden_states)
        logits = self.classifier(output.last_hidden_state.mean(dim=1))
        loss = None if labels is None else cross_entropy(logits.float(), labels)
        return ImageClassifierOutput(loss=loss, logits=logits, hidden_states=output.hidden_states)


AutoModel.register(AlexNetTransformerConfig, AlexNetTransformerModel, exist_ok=True)
AutoModelForImageClassification.register(
    AlexNetTransformerConfig, AlexNetTransformerForImageClassification, exist_ok=True
)
