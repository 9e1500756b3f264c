"""Pack the texts of a corpus into contexts of fixed length, as in language-model training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from saefari.models.tokenizer import TextTokenizer

_TOKENISED_AT_ONCE = 512


class Context(NamedTuple):
    """Tokens of one model input: input_ids int32 [n]; valid int32 [m], indices of those that are text."""

    input_ids: np.ndarray
    valid: np.ndarray

    @property
    def length(self) -> int:
        """Positions that the model computes."""
        return len(self.input_ids)

    @property
    def model_input(self) -> np.ndarray:
        """The model's input."""
        return self.input_ids


def pack(texts: Iterable[str], tokenizer: TextTokenizer, context_size: int) -> Iterator[Context]:
    """Yield contexts of exactly `context_size` tokens (at most the model's limit); the last may be shorter.

    Each begins and ends with the special tokens around a text (BOS; CLS and SEP). Texts are separated by the special
    tokens that end a text, else by the end-of-text token; a text may continue in the next context.
    """
    before, after = tokenizer.frame()
    room = min(context_size, tokenizer.limit) - len(before) - len(after)
    ending = after or [token for token in [tokenizer.tokenizer.eos_token_id] if token is not None]
    pending = np.zeros(0, dtype=np.int32)
    for ids in _token_ids(texts, tokenizer):
        pending = np.concatenate([pending, ids, np.asarray(ending, dtype=np.int32)])
        while len(pending) >= room:
            yield _context(before, pending[:room], after, tokenizer)
            pending = pending[room:]
    if len(pending):
        yield _context(before, pending, after, tokenizer)


def _token_ids(texts: Iterable[str], tokenizer: TextTokenizer) -> Iterator[np.ndarray]:
    """Yield each text's tokens, int32, untruncated and without special tokens; skip empty texts."""
    texts = iter(texts)
    while chunk := list(islice(texts, _TOKENISED_AT_ONCE)):
        for ids in tokenizer.tokenizer(chunk, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]:
            if ids:
                yield np.asarray(ids, dtype=np.int32)


def _context(before: list[int], ids: np.ndarray, after: list[int], tokenizer: TextTokenizer) -> Context:
    input_ids = np.concatenate([before, ids, after]).astype(np.int32)
    return Context(input_ids, np.flatnonzero(~np.isin(input_ids, tokenizer.special_ids)).astype(np.int32))
