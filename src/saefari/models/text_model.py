"""A text model and its hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from saefari.models.hooks import HookPoint, capture
from saefari.models.pretrained import load_weights, pick_device, pick_dtype
from saefari.models.registry import ModelInfo, describe, resolve_model
from saefari.models.tokenizer import TextTokenizer


class TextModel:
    """A decoder or encoder without its head, and its tokenizer."""

    def __init__(self, info: ModelInfo, model: Any, tokenizer: TextTokenizer) -> None:
        """Combine loaded parts; use `load` to load them."""
        self.info = info
        self.d_model = info.d_model
        self.model = model
        self.tokenizer = tokenizer
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype

    @classmethod
    def load(cls, name: str, revision: str | None = None, dtype: str = "auto", device: str = "auto") -> TextModel:
        """Load a model by local path, embedded name or hub id, in evaluation mode with frozen weights.

        dtype: auto (bfloat16 on a GPU, float32 elsewhere), float32, bfloat16 or float16. device: auto (a GPU
        if there is one), cpu, mps, cuda or cuda:1. Raises ModelError for a model that cannot be found,
        reached or used safely: pickled weights and code from a model's repository are never used.
        """
        target = pick_device(device)
        info = describe(name, revision)
        tokenizer = TextTokenizer.load(name, revision)
        model = load_weights(info, resolve_model(name, revision)[0], pick_dtype(dtype, target))
        return cls(info, model.to(target), tokenizer)

    def capture(self, input_ids: Sequence[np.ndarray], hooks: Sequence[HookPoint]) -> dict[HookPoint, torch.Tensor]:
        """Return hidden states of a batch of texts, from one forward pass that stops after the deepest hook.

        input_ids: int [n_i] each. Returns [B, T, d] per hook on the model's device in its dtype, T = max(n_i), padded
        on the right; values at padding are undefined. They are inference tensors: index or copy them before using
        them in a computation that needs gradients.
        """
        with torch.inference_mode(), capture(self.model, hooks) as found:
            self.model(**self.padded(input_ids))
        return found

    def padded(self, input_ids: Sequence[np.ndarray]) -> dict[str, torch.Tensor | None]:
        """Build the model's arguments input_ids and attention_mask, [B, T], padded on the right."""
        lengths = [len(ids) for ids in input_ids]
        padded = np.full((len(lengths), max([1, *lengths])), self.tokenizer.pad_id, dtype=np.int64)
        for row, ids in zip(padded, input_ids, strict=True):
            row[: len(ids)] = ids
        return {
            "input_ids": torch.from_numpy(padded).to(self.device),
            "attention_mask": self._mask(lengths, padded.shape[1]),
        }

    def _mask(self, lengths: list[int], width: int) -> torch.Tensor | None:
        """Return int64 [B, T], 1 at tokens; None without padding, which is fastest."""
        if min(lengths) == width:
            return None
        mask = np.arange(width) < np.array(lengths)[:, None]
        return torch.from_numpy(mask.astype(np.int64)).to(self.device)
