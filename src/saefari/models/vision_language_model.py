"""A vision-language model and the hidden states of its language model, under a prompt with an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint, capture
from saefari.models.pretrained import load_weights, pick_device, pick_dtype
from saefari.models.registry import ModelInfo, describe, resolve_model


class VisionLanguageModel:
    """The whole model without its language head; hook points are those of its language model."""

    def __init__(self, info: ModelInfo, model: Any) -> None:
        """Put loaded parts together; `load` is the usual way in."""
        self.info = info
        self.d_model = info.d_model
        self.model = model
        self.language = model.get_decoder()
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype

    @classmethod
    def load(
        cls, name: str, revision: str | None = None, dtype: str = "auto", device: str = "auto"
    ) -> VisionLanguageModel:
        """Load a model by local path or hub id, in evaluation mode, its weights frozen; see `TextModel.load`."""
        where = pick_device(device)
        info = describe(name, revision, model_type="vlm")
        model = load_weights(info, resolve_model(name, revision)[0], pick_dtype(dtype, where), _whole)
        return cls(info, model.to(where))

    def capture(
        self, inputs: Sequence[dict[str, torch.Tensor]], hooks: Sequence[HookPoint]
    ) -> dict[HookPoint, torch.Tensor]:
        """Hidden states of a batch of prompts, from one forward pass that ends after the deepest hook.

        inputs: what `PromptReader` made: along the prompt [n_i], of its image [n_images, ...]. Returns [B, T, d] per
        hook on the model's device in its dtype, T = max(n_i); prompts are padded on the right, and what stands at
        padding has no meaning. Raises ModelError where the model finds other image tokens than its images give.
        """
        try:
            with torch.inference_mode(), capture(self.language, hooks) as found:
                self.model(**self._batch(inputs), use_cache=False)
        except ValueError as error:
            raise ModelError(f"model {self.info.name!r}: {error}") from None
        return found

    def _batch(self, inputs: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Prompts and images as the model's arguments."""
        lengths = [len(row["input_ids"]) for row in inputs]
        batch = {key: _joined([row[key] for row in inputs], key) for key in inputs[0]}
        mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
        batch["attention_mask"] = mask.long()
        return {
            key: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for key, value in batch.items()
        }


def _joined(rows: Sequence[torch.Tensor], key: str) -> torch.Tensor:
    """Rows along a prompt [n_i] padded into [B, T]; images joined, padded in all dimensions but the first."""
    if rows[0].ndim == 1:
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    largest = [max(row.shape[dim] for row in rows) for dim in range(1, rows[0].ndim)]
    padded = [
        pad(row, [amount for dim in range(row.ndim - 1, 0, -1) for amount in (0, largest[dim - 1] - row.shape[dim])])
        for row in rows
    ]
    return torch.cat(padded)


def _whole(model: Any) -> Any:
    """A model with all its towers, its language model without a cache."""
    model.config.get_text_config().use_cache = False
    return model
