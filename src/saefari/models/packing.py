"""A corpus as contexts of a fixed length, texts following one another, as language models are trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from saefari.models.tokenizer import TextTokenizer

_TOKENISED_AT_ONCE = 512


class Context(NamedTuple):
    """Tokens that the model reads at once: input_ids int32 [n]; valid int32 [m], those of them that are text."""

    input_ids: np.ndarray
    valid: np.ndarray

    @property
    def length(self) -> int:
        """Positions that the model computes."""
        return len(self.input_ids)

    @property
    def model_input(self) -> np.ndarray:
        """What the model is given."""
        return self.input_ids


def pack(texts: Iterable[str], tokenizer: TextTokenizer, context_size: int) -> Iterator[Context]:
    """Contexts of exactly `context_size` tokens (the model's limit if that is less), save the last, shorter one.

    Each begins and ends with the special tokens that stand around a text (BOS; CLS and SEP). Between two
    texts stands what ends one, or the end-of-text token; a text goes on in the next context where one is full.
    """
    before, after = tokenizer.frame()
    room = min(context_size, tokenizer.limit) - len(before) - len(after)
    ending = after or [token for token in [tokenizer.tokenizer.eos_token_id] if token is not None]
    waiting = np.zeros(0, dtype=np.int32)
    for ids in _token_ids(texts, tokenizer):
        waiting = np.concatenate([waiting, ids, np.asarray(ending, dtype=np.int32)])
        while len(waiting) >= room:
            yield _context(before, waiting[:room], after, tokenizer)
            waiting = waiting[room:]
    if len(waiting):
        yield _context(before, waiting, after, tokenizer)


def _token_ids(texts: Iterable[str], tokenizer: TextTokenizer) -> Iterator[np.ndarray]:
    """Every text's own tokens, uncut, int32; an empty text has none and is left out."""
    texts = iter(texts)
    while chunk := list(islice(texts, _TOKENISED_AT_ONCE)):
        for ids in tokenizer.tokenizer(chunk, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]:
            if ids:
                yield np.asarray(ids, dtype=np.int32)


def _context(before: list[int], ids: np.ndarray, after: list[int], tokenizer: TextTokenizer) -> Context:
    whole = np.concatenate([before, ids, after]).astype(np.int32)
    return Context(whole, np.flatnonzero(~np.isin(whole, tokenizer.special_ids)).astype(np.int32))
