"""A text model: tokens that count, and the hidden states of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saefari.models.hooks import HookPoint, capture
from saefari.models.load import (
    load_tokenizer,
    load_weights,
    longest_text,
    pick_device,
    pick_dtype,
    special_ids,
    weights_digest,
)
from saefari.models.registry import ModelInfo, describe, resolve_model


@dataclass(frozen=True)
class Tokens:
    """One text as the model reads it.

    input_ids: int32 [n], special tokens included, no padding.
    valid: int32 [m], ascending indices into input_ids of the positions that count.
    spans: int32 [m, 2], the characters (start, end) of the text that each valid position covers.
    """

    input_ids: np.ndarray
    valid: np.ndarray
    spans: np.ndarray


class TextModel:
    """A decoder or encoder without its head, ready to read texts and give hidden states."""

    def __init__(self, info: ModelInfo, location: str, model: Any, tokenizer: Any) -> None:
        """Wrap a loaded model and its fast tokenizer; `load` is the usual way in."""
        self.info = info
        self.d_model = info.d_model
        self.model = model
        self.tokenizer = tokenizer
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self._location = Path(location)
        self._special_ids = special_ids(tokenizer)
        self._pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._tokenizer_digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
        self._limit = longest_text(model, tokenizer)

    @classmethod
    def load(
        cls, name: str, revision: str | None = None, dtype: str = "auto", device: str = "auto"
    ) -> TextModel:
        """Load a model by local path, embedded name or hub id, in evaluation mode, its weights frozen.

        dtype: auto (bfloat16 on a GPU, float32 elsewhere), float32, bfloat16 or float16. device: auto (a GPU
        if there is one), cpu, mps, cuda, cuda:1 …. Raises ModelError for a model that cannot be found, reached
        or used safely: pickled weights and code from a model's own repository are never read.
        """
        where = pick_device(device)
        info = describe(name, revision)
        location, _ = resolve_model(name, revision)
        tokenizer = load_tokenizer(info, location)
        model = load_weights(info, location, pick_dtype(dtype, where)).to(where)
        return cls(info, location, model, tokenizer)

    def tokenize(
        self, texts: Sequence[str], max_length: int, include_special_tokens: bool = False
    ) -> list[Tokens]:
        """Tokenize texts as the model was trained to read them, cut at max_length or the model's own limit.

        max_length counts special tokens. Special tokens, those spelt out in a text too, are not valid
        positions unless `include_special_tokens`; an unknown word's token is valid, for it stands for text.
        """
        if not texts:
            return []
        batch = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=min(max_length, self._limit),
            padding=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        columns = batch["input_ids"], batch["special_tokens_mask"], batch["offset_mapping"]
        return [self._tokens(*row, include_special_tokens) for row in zip(*columns, strict=True)]

    def _tokens(self, ids: list[int], added: list[int], spans: list[Any], keep_special: bool) -> Tokens:
        input_ids = np.array(ids, dtype=np.int32)
        special = np.array(added, dtype=bool) | np.isin(input_ids, self._special_ids)
        valid = np.flatnonzero(~special | keep_special).astype(np.int32)
        return Tokens(input_ids, valid, np.array(spans, dtype=np.int32).reshape(-1, 2)[valid])

    def capture(
        self, input_ids: Sequence[np.ndarray], hooks: Sequence[HookPoint]
    ) -> dict[HookPoint, torch.Tensor]:
        """Hidden states of a batch of texts, from one forward pass that ends after the deepest hook.

        input_ids: int [n_i] each. Returns [B, T, d] per hook on the model's device in its dtype, where
        T = max(n_i); rows are padded on the right, and what stands at padding has no meaning. They are
        inference tensors: index or copy them before they enter a computation that needs gradients.
        """
        lengths = [len(ids) for ids in input_ids]
        padded = np.full((len(lengths), max([1, *lengths])), self._pad_id, dtype=np.int64)
        for row, ids in zip(padded, input_ids, strict=True):
            row[: len(ids)] = ids
        with torch.inference_mode(), capture(self.model, hooks) as found:
            self.model(
                input_ids=torch.from_numpy(padded).to(self.device),
                attention_mask=self._mask(lengths, padded.shape[1]),
            )
        return found

    def _mask(self, lengths: list[int], width: int) -> torch.Tensor | None:
        """int64 [B, T], 1 at tokens; None where nothing is padded, which lets attention go fastest."""
        if min(lengths) == width:
            return None
        # An empty text keeps one position, for attention over nothing would be NaN.
        ends = np.maximum(lengths, 1)[:, None]
        return torch.from_numpy((np.arange(width) < ends).astype(np.int64)).to(self.device)

    def fingerprint(self) -> dict[str, str]:
        """All that shapes the hidden states, without a path: weights, precision, tokenizer, versions."""
        import transformers

        return {
            "model": self.info.slug,
            "source": self.info.source,
            "revision": self.info.revision or "",
            "weights": self._weights,
            "dtype": str(self.dtype).removeprefix("torch."),
            "attention": str(self.model.config._attn_implementation),
            "tokenizer": self._tokenizer_digest,
            "transformers": transformers.__version__,
            "torch": str(torch.__version__),
        }

    @cached_property
    def _weights(self) -> str:
        """The hub's commit, or the digest of a folder's weights, which is read once."""
        return self.info.revision or weights_digest(self._location)
