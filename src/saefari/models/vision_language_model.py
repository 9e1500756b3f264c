"""A vision-language model and the hidden states of its language model."""

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
    """A vision-language model without its head; hook points are those of its language model."""

    def __init__(self, info: ModelInfo, model: Any) -> None:
        """Combine loaded parts; use `load` to load them."""
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
        """Load a model by local path or hub id, in evaluation mode with frozen weights; see `TextModel.load`."""
        target = pick_device(device)
        info = describe(name, revision, model_type="vlm")
        model = load_weights(info, resolve_model(name, revision)[0], pick_dtype(dtype, target), _without_cache)
        return cls(info, model.to(target))

    def capture(
        self, inputs: Sequence[dict[str, torch.Tensor]], hooks: Sequence[HookPoint]
    ) -> dict[HookPoint, torch.Tensor]:
        """Return hidden states of a batch of prompts, from one forward pass that stops after the deepest hook.

        inputs: model inputs from `PromptReader`: [n_i] along the prompt, [n_images, ...] for its image. Returns
        [B, T, d] per hook on the model's device in its dtype, T = max(n_i), padded on the right; values at padding are
        undefined. Raises ModelError if the number of image tokens does not match the images.
        """
        try:
            with torch.inference_mode(), capture(self.language, hooks) as found:
                self.model(**self._batch(inputs), use_cache=False)
        except ValueError as error:
            raise ModelError(f"model {self.info.name!r}: {error}") from None
        return found

    def _batch(self, inputs: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Build the model's arguments from prompts and images."""
        lengths = [len(row["input_ids"]) for row in inputs]
        batch = {key: _batched([row[key] for row in inputs], key) for key in inputs[0]}
        mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
        batch["attention_mask"] = mask.long()
        return {
            key: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for key, value in batch.items()
        }


def _batched(rows: Sequence[torch.Tensor], key: str) -> torch.Tensor:
    """Pad rows along a prompt [n_i] into [B, T]; concatenate images, padded in all dimensions but the first."""
    if rows[0].ndim == 1:
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    largest = [max(row.shape[dim] for row in rows) for dim in range(1, rows[0].ndim)]
    padded = [
        pad(row, [amount for dim in range(row.ndim - 1, 0, -1) for amount in (0, largest[dim - 1] - row.shape[dim])])
        for row in rows
    ]
    return torch.cat(padded)


def _without_cache(model: Any) -> Any:
    """Disable the key-value cache of the language model; keep all towers."""
    model.config.get_text_config().use_cache = False
    return model
