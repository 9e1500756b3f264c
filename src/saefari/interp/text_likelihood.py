"""How probable a causal language model finds a text after another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saefari.interp.records import ExplanationError
from saefari.models.batching import Batches
from saefari.models.language_head import LanguageModel
from saefari.models.tokenizer import Tokens

_BATCH_TOKENS = 4096


class TextLikelihood:
    """Log-probabilities of texts under a causal language model."""

    def __init__(self, language: LanguageModel) -> None:
        self._language = language
        self._batches = Batches(_BATCH_TOKENS)

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return log p(text | prefix) in nats, float64 [n], for pairs (prefix, text).

        Prefix and text are tokenised separately, after the model's BOS if it has one, so that a text has the same
        tokens after every prefix. Raises ExplanationError if one pair has more tokens than the model reads.
        """
        rows = self._rows(pairs)
        found = np.zeros(len(rows))
        if not rows:
            return found
        lengths = np.array([row.length for row in rows], np.int64)
        for batch, losses in self._batches.run(lengths, lambda batch: self._losses([rows[i] for i in batch])):
            found[batch] = [-loss for loss in losses]
        return found

    def _losses(self, rows: Sequence[Tokens]) -> list[float]:
        """Return the summed loss of each row of one batch."""
        losses = self._language.losses(rows).double().cpu().numpy()
        ends = np.cumsum([len(row.valid) for row in rows])
        return [float(part.sum()) for part in np.split(losses, ends[:-1])]

    def _rows(self, pairs: Sequence[tuple[str, str]]) -> list[Tokens]:
        """Return token rows in which the positions of the text count."""
        before, _ = self._language.text.tokenizer.frame()
        prefixes = token_ids(self._language, [prefix for prefix, _ in pairs])
        texts = token_ids(self._language, [text for _, text in pairs])
        rows = []
        for prefix, text in zip(prefixes, texts, strict=True):
            ids = [*before, *prefix, *text]
            check_length(self._language, len(ids))
            valid = np.arange(len(before) + len(prefix), len(ids), dtype=np.int32)
            rows.append(Tokens(np.array(ids, np.int32), valid, np.zeros((len(valid), 2), np.int32)))
        return rows


def token_ids(language: LanguageModel, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, without special tokens."""
    tokenizer = language.text.tokenizer
    distinct = list(dict.fromkeys(texts))
    tokens = tokenizer.tokenize(distinct, tokenizer.limit)
    found = {text: one.input_ids[one.valid].tolist() for text, one in zip(distinct, tokens, strict=True)}
    return [found[text] for text in texts]


def check_length(language: LanguageModel, n_tokens: int) -> None:
    """Raise ExplanationError for more tokens than the model reads."""
    limit = language.text.tokenizer.limit
    if n_tokens > limit:
        raise ExplanationError(
            f"{language.text.info.name} reads at most {limit:,} tokens, and explanation and context have {n_tokens:,}: "
            "use shorter windows (explain.sampling.window), or another explain.client.model"
        )
