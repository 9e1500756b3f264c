"""Sentence embeddings: the mean of a text encoder's last hidden states, normalised to length 1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch

from saefari.models.batching import Batches
from saefari.models.text_model import TextModel

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_MAX_TOKENS = 256
"""Tokens per text with which DEFAULT_MODEL was trained; longer texts are cut."""
_BATCH_TOKENS = 4096
_KEPT = 50_000
"""Embeddings kept in memory: 75 MB of 384 float32."""


class SentenceEmbedder:
    """A text encoder that embeds as sentence-transformers does (Reimers and Gurevych 2019, arXiv:1908.10084).

    A text's embedding is the mean of its tokens' last hidden states, special tokens included, divided by its norm, so
    that a product of two embeddings is their cosine. Embeddings of the last texts are kept, since latents share
    contexts. May be called from several threads.
    """

    def __init__(self, text: TextModel, kept: int = _KEPT) -> None:
        """kept: number of embeddings kept in memory."""
        self._text = text
        self._batches = Batches(_BATCH_TOKENS)
        self._kept = kept
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def load(cls, name: str = DEFAULT_MODEL, device: str = "auto") -> SentenceEmbedder:
        """Load a text encoder in float32. Raises ModelError if it cannot be found or read."""
        return cls(TextModel.load(name, dtype="float32", device=device))

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._text.info.name

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts, float32 [n_texts, d], each of length 1."""
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._known]
            found = dict(zip(new, self._compute(new), strict=True))
            rows = [found[text] if text in found else self._known[text] for text in texts]
            self._keep(dict(zip(texts, rows, strict=True)))
        return np.array(rows, np.float32).reshape(len(texts), self._text.d_model)

    def _compute(self, texts: Sequence[str]) -> np.ndarray:
        """Embed distinct texts in batches of similar length."""
        tokens = self._text.tokenizer.tokenize(texts, _MAX_TOKENS)
        embeddings = np.zeros((len(texts), self._text.d_model), np.float32)
        lengths = np.array([one.length for one in tokens], np.int64)
        if len(texts):
            for batch, rows in self._batches.run(
                lengths, lambda batch: self._means([tokens[i].input_ids for i in batch])
            ):
                embeddings[batch] = rows
        return embeddings

    @torch.inference_mode()
    def _means(self, input_ids: Sequence[np.ndarray]) -> np.ndarray:
        """Return the normalised mean over the tokens of each text of one batch, float32 [n, d]."""
        inputs = self._text.padded(input_ids)
        states = self._text.model(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"]
        weights = torch.ones(states.shape[:2], device=states.device) if mask is None else mask.float()
        sums = (states * weights[..., None]).sum(dim=1)
        return torch.nn.functional.normalize(sums, dim=1).cpu().numpy()

    def _keep(self, rows: dict[str, np.ndarray]) -> None:
        """Remember embeddings; forget those that were used least recently."""
        for text, row in rows.items():
            self._known[text] = row
            self._known.move_to_end(text)
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
