"""Tokenisation of texts, without the model's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from saefari.config import Positions
from saefari.errors import ModelError
from saefari.models.pretrained import load_tokenizer, skeleton, text_part
from saefari.models.registry import describe, read_config, resolve_model, text_config


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

    @property
    def length(self) -> int:
        """Positions that the model computes."""
        return len(self.input_ids)

    @property
    def model_input(self) -> np.ndarray:
        """The model's input."""
        return self.input_ids


class TextTokenizer:
    """A model's fast tokenizer, with the model's length limit and the rule for BOS."""

    def __init__(self, tokenizer: Any, limit: int | Callable[[], int]) -> None:
        """tokenizer: freshly loaded, since use changes its state and thereby the digest.

        limit: a function is called on first use, since it may build a model.
        """
        self.tokenizer = tokenizer
        self._limit = limit
        self.digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
        """SHA-256 of the tokenizer's serialised state."""
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self.special_ids = _special_ids(tokenizer)
        self._set_bos(None)

    def _set_bos(self, prepend_bos: bool | None) -> None:
        self.bos_change = bos_change(self.tokenizer, prepend_bos)
        """True: add BOS, which the tokenizer does not; False: remove its BOS; None: unchanged."""
        self._n_added = {None: 0, True: 1, False: -1}[self.bos_change]
        before, _ = self.frame()
        self.begins_with_special = bool(before)
        """Whether every text begins with a special token (CLS, BOS)."""
        self.prepends_bos = bool(before) and before[0] == self.tokenizer.bos_token_id
        """Whether every text begins with BOS."""

    @cached_property
    def limit(self) -> int:
        """Maximum number of tokens per input, special tokens included."""
        return self._limit() if callable(self._limit) else self._limit

    @classmethod
    def load(cls, name: str, revision: str | None = None) -> TextTokenizer:
        """Load by the model's name. Raises ModelError if it cannot be found, reached or used safely."""
        location, _ = resolve_model(name, revision)
        tokenizer = load_tokenizer(describe(name, revision), location)
        return cls(tokenizer, partial(_longest_text, read_config(name, revision), tokenizer))

    def with_bos(self, prepend_bos: bool | None) -> TextTokenizer:
        """Return a copy that adds BOS to every text or to none; None = the tokenizer's own behaviour.

        Raises ModelError for True if the tokenizer has no BOS.
        """
        changed = copy(self)
        changed._set_bos(prepend_bos)
        return changed

    def frame(self) -> tuple[list[int], list[int]]:
        """Return the ids of the special tokens before and after every text."""
        before, after = _own_frame(self.tokenizer)
        if self._n_added > 0:
            before = [self.tokenizer.bos_token_id, *before]
        return before[1:] if self._n_added < 0 else before, after

    def tokenize(
        self,
        texts: Sequence[str],
        max_length: int,
        include_special_tokens: bool = False,
        positions: Positions = "tokens",
    ) -> list[Tokens]:
        """Tokenise texts, truncated at max_length or the model's own limit.

        max_length includes special tokens such as BOS. Special tokens, even if spelt out in a text, are valid positions
        only with `include_special_tokens`; the unknown token is valid, since it stands for text.
        positions: 'cls' makes the special token at the start of every text the only valid position; raises ModelError
        if there is none.
        """
        if positions == "cls" and not self.begins_with_special:
            raise ModelError(no_class_token(self.tokenizer.name_or_path))
        if not texts:
            return []
        batch = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=min(max_length, self.limit) - self._n_added,
            padding=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        columns = batch["input_ids"], batch["special_tokens_mask"], batch["offset_mapping"]
        found = [self._tokens(*row, include_special_tokens) for row in zip(*columns, strict=True)]
        return [_first_only(tokens) for tokens in found] if positions == "cls" else found

    def _tokens(self, ids: list[int], added: list[int], spans: list[Any], keep_special: bool) -> Tokens:
        if self._n_added > 0:
            ids, added, spans = [self.tokenizer.bos_token_id, *ids], [1, *added], [(0, 0), *spans]
        elif self._n_added < 0:
            ids, added, spans = ids[1:], added[1:], spans[1:]
        input_ids = np.array(ids, dtype=np.int32)
        special = np.array(added, dtype=bool) | np.isin(input_ids, self.special_ids)
        valid = np.flatnonzero(~special | keep_special).astype(np.int32)
        return Tokens(input_ids, valid, np.array(spans, dtype=np.int32).reshape(-1, 2)[valid])


def no_class_token(model: str) -> str:
    """Return the error message of `positions: cls` for a model whose texts begin with no special token."""
    return (
        f"'cls' selects the special token at the start of a text (CLS, BOS), and the tokenizer of {model!r} adds none: "
        "use tokens, or another model"
    )


def _first_only(tokens: Tokens) -> Tokens:
    """Make the first token the only valid position; it covers no characters."""
    return Tokens(tokens.input_ids, np.zeros(1, dtype=np.int32), np.zeros((1, 2), dtype=np.int32))


def bos_change(tokenizer: Any, prepend_bos: bool | None) -> bool | None:
    """Return `prepend_bos` if it changes the behaviour of a transformers tokenizer, else None.

    Raises ModelError for True if the tokenizer has no BOS.
    """
    bos = tokenizer.bos_token_id
    if prepend_bos and bos is None:
        raise ModelError(f"the tokenizer of {tokenizer.name_or_path!r} has no BOS token to add before a text")
    own = bos is not None and _own_frame(tokenizer)[0][:1] == [bos]
    return None if prepend_bos in (None, own) else prepend_bos


def _own_frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the ids of the special tokens that a transformers tokenizer adds before and after a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, special = encoded["input_ids"], encoded["special_tokens_mask"]
    text = [place for place, added in enumerate(special) if not added]
    return ids[: text[0]], ids[text[-1] + 1 :]


def _special_ids(tokenizer: Any) -> list[int]:
    """Return the ids of all special tokens except a separate unknown token, which stands for a word."""
    ids = set(tokenizer.all_special_ids)
    ids |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    others = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if tokenizer.unk_token_id not in others:
        ids.discard(tokenizer.unk_token_id)
    return sorted(ids)


def _longest_text(config: Any, tokenizer: Any) -> int:
    """Return the maximum number of tokens per input, special tokens included."""
    from torch.nn import Embedding

    limit = getattr(text_config(config), "max_position_embeddings", None) or tokenizer.model_max_length
    for name, module in text_part(skeleton(config)).named_modules():
        # RoBERTa's positions start after the padding id; subclasses of Embedding (BART, Marian) have extra rows.
        if type(module) is Embedding and "position" in name and module.padding_idx is not None:
            limit -= module.padding_idx + 1
    return int(min(limit, tokenizer.model_max_length))
