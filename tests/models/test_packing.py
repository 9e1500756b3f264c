"""Packing of a corpus: every token once, contexts framed by special tokens, which are not valid."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saefari.models.packing import pack, pack_with_text
from saefari.models.tokenizer import TextTokenizer

FRAMES = {"gpt2": ([], [], [2]), "llama": ([1], [], [2]), "bert": ([1], [2], [2])}
"""Special tokens before a context, after it, and between two texts."""


@pytest.fixture(scope="module", params=FRAMES)
def kind_and_tokenizer(request: pytest.FixtureRequest, save_tiny: Callable[..., Path]) -> tuple[str, TextTokenizer]:
    return request.param, TextTokenizer.load(str(save_tiny(request.param)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    texts=st.lists(st.lists(st.sampled_from(["cat", "dog", "sat", "river"]), max_size=40).map(" ".join), max_size=20),
    context_size=st.integers(8, 80),
)
def test_every_token_occurs_once_in_order(
    kind_and_tokenizer: tuple[str, TextTokenizer], texts: list[str], context_size: int
) -> None:
    kind, tokenizer = kind_and_tokenizer
    before, after, between = FRAMES[kind]
    contexts = list(pack(texts, tokenizer, context_size))
    size = min(context_size, 64)
    assert all(len(context.input_ids) == size for context in contexts[:-1])
    for context in contexts:
        ids = context.input_ids.tolist()
        assert len(ids) <= size
        assert ids[: len(before)] == before
        assert ids[len(ids) - len(after) :] == after
        assert not np.isin(context.input_ids[context.valid], [0, 1, 2]).any()
        assert len(context.valid) == int((context.input_ids > 2).sum())
    inner = [i for c in contexts for i in c.input_ids.tolist()[len(before) : len(c.input_ids) - len(after)]]
    plain = [tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts if text]
    assert inner == [i for ids in plain for i in [*ids, *between]]


def test_a_text_longer_than_a_context_is_not_truncated(kind_and_tokenizer: tuple[str, TextTokenizer]) -> None:
    _, tokenizer = kind_and_tokenizer
    contexts = list(pack(["cat " * 500], tokenizer, 1000))
    assert sum(len(context.valid) for context in contexts) == 500
    assert max(len(context.input_ids) for context in contexts) == 64


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(
    texts=st.lists(st.text(alphabet="cat dog,é🙂\n", max_size=60), max_size=10),
    context_size=st.integers(8, 40),
    tokenizer=st.sampled_from(["wordpiece", "byte-level", "words"]),
)
def test_contexts_with_text_have_the_same_tokens_and_their_characters(
    kind_and_tokenizer: tuple[str, TextTokenizer], texts: list[str], context_size: int, tokenizer: str
) -> None:
    used = kind_and_tokenizer[1] if tokenizer == "words" else _real(tokenizer)
    plain, found = list(pack(texts, used, context_size)), list(pack_with_text(texts, used, context_size))
    assert [c.input_ids.tolist() for c in plain] == [t.input_ids.tolist() for _, t in found]
    assert [c.valid.tolist() for c in plain] == [t.valid.tolist() for _, t in found]
    covered = [text[a:b] for text, tokens in found for a, b in tokens.spans.tolist()]
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
    encoded = [(text, used.tokenizer(text, **options)) for text in texts if text]
    assert covered == [
        text[a:b]
        for text, one in encoded
        for token, (a, b) in zip(one["input_ids"], one["offset_mapping"], strict=True)
        if token not in used.special_ids
    ]
    for text, tokens in found:
        assert text == "" or (tokens.spans[:, 0].min() == 0 and tokens.spans[:, 1].max() == len(text))


@cache
def _real(kind: str) -> TextTokenizer:
    if kind == "wordpiece":
        return TextTokenizer.load("sentence-transformers/all-MiniLM-L6-v2")
    from tests.tiny_vision import tokenizer

    return TextTokenizer(tokenizer(), 512)
