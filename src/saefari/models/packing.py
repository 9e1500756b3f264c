"""Pack the texts of a corpus into contexts of fixed length, as in language-model training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from saefari.models.tokenizer import TextTokenizer, Tokens

_TOKENISED_AT_ONCE = 512


_BETWEEN_TEXTS = "\n\n"  # in the text of a context; the tokens are separated by special tokens


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
    before, after, ending, room = _frame(tokenizer, context_size)
    pending = np.zeros(0, dtype=np.int32)
    for ids in _token_ids(texts, tokenizer):
        pending = np.concatenate([pending, ids, np.asarray(ending, dtype=np.int32)])
        while len(pending) >= room:
            yield _context(before, pending[:room], after, tokenizer)
            pending = pending[room:]
    if len(pending):
        yield _context(before, pending, after, tokenizer)


class Piece(NamedTuple):
    """Tokens of a part of a text: ids int32 [n]; spans int32 [n, 2], the characters of the text that each covers."""

    text: str
    ids: np.ndarray
    spans: np.ndarray


def pack_with_text(texts: Iterable[str], tokenizer: TextTokenizer, context_size: int) -> Iterator[tuple[str, Tokens]]:
    """Yield (text, tokens) of the contexts of `pack`; spans are characters of this text.

    The text of a context joins the parts of the texts in it with an empty line between them.
    """
    before, after, ending, room = _frame(tokenizer, context_size)
    pending: list[Piece] = []
    n_pending = 0
    for piece in _pieces(texts, tokenizer, ending):
        pending.append(piece)
        n_pending += len(piece.ids)
        while n_pending >= room:
            yield _context_with_text(before, _take(pending, room), after, tokenizer)
            n_pending -= room
    if n_pending:
        yield _context_with_text(before, pending, after, tokenizer)


def _frame(tokenizer: TextTokenizer, context_size: int) -> tuple[list[int], list[int], list[int], int]:
    """Return the special tokens before and after a context and at the end of a text, and the room for texts."""
    before, after = tokenizer.frame()
    room = min(context_size, tokenizer.limit) - len(before) - len(after)
    ending = after or [token for token in [tokenizer.tokenizer.eos_token_id] if token is not None]
    return before, after, ending, room


def _pieces(texts: Iterable[str], tokenizer: TextTokenizer, ending: list[int]) -> Iterator[Piece]:
    """Yield each text as one piece that ends with `ending`; skip empty texts."""
    texts = iter(texts)
    options = {"add_special_tokens": False, "truncation": False, "verbose": False, "return_offsets_mapping": True}
    while chunk := list(islice(texts, _TOKENISED_AT_ONCE)):
        batch = tokenizer.tokenizer(chunk, **options)
        for text, ids, spans in zip(chunk, batch["input_ids"], batch["offset_mapping"], strict=True):
            if ids:
                end = len(text)
                yield Piece(
                    text,
                    np.asarray([*ids, *ending], dtype=np.int32),
                    np.asarray([*spans, *([(end, end)] * len(ending))], dtype=np.int32),
                )


def _take(pending: list[Piece], n: int) -> list[Piece]:
    """Remove the first n tokens from the pieces and return them."""
    taken: list[Piece] = []
    while n:
        text, ids, spans = pending.pop(0)
        if len(ids) > n:
            pending.insert(0, Piece(text, ids[n:], spans[n:]))
        taken.append(Piece(text, ids[:n], spans[:n]))
        n -= len(taken[-1].ids)
    return taken


def _context_with_text(
    before: list[int], pieces: list[Piece], after: list[int], tokenizer: TextTokenizer
) -> tuple[str, Tokens]:
    context = _context(before, np.concatenate([piece.ids for piece in pieces]), after, tokenizer)
    parts: list[str] = []
    spans: list[np.ndarray] = []
    length = 0
    for piece in pieces:
        covered = piece.spans[~np.isin(piece.ids, tokenizer.special_ids)]
        if len(covered):
            if parts:
                parts.append(_BETWEEN_TEXTS)
                length += len(_BETWEEN_TEXTS)
            first, last = int(covered[:, 0].min()), int(covered[:, 1].max())
            parts.append(piece.text[first:last])
            spans.append(covered - first + length)
            length += last - first
    found = np.concatenate([np.zeros((0, 2), dtype=np.int32), *spans]).astype(np.int32)
    return "".join(parts), Tokens(context.input_ids, context.valid, found)


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
