"""The disk cache: what identifies a request, and files that are damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.interp.clients.answer_cache import AnswerCache, request_fingerprint
from saefari.interp.clients.client import Answer, AnswerToken, ImagePart, Message, Request

KEY = "ab" + "0" * 62


class NoBackend:
    def __init__(self, model: str = "m", **settings: Any) -> None:
        self.model = model
        self.settings: Mapping[str, Any] = settings

    async def complete(self, request: Request) -> Answer:
        raise AssertionError


REQUEST = Request((Message("user", ("what?", ImagePart(b"one"))),))
OTHERS = [
    replace(REQUEST, messages=(Message("user", ("what!", ImagePart(b"one"))),)),
    replace(REQUEST, messages=(Message("user", ("what?", ImagePart(b"two"))),)),
    replace(REQUEST, messages=(Message("system", ("what?", ImagePart(b"one"))),)),
    replace(REQUEST, messages=(*REQUEST.messages, Message.of("assistant", ""))),
    replace(REQUEST, max_tokens=1),
    replace(REQUEST, temperature=0.1),
    replace(REQUEST, top_logprobs=1),
    replace(REQUEST, seed=1),
]


def test_everything_that_shapes_an_answer_identifies_a_request() -> None:
    backends = [NoBackend(), NoBackend("n"), NoBackend(base_url="a"), NoBackend(base_url="b")]
    found = [request_fingerprint(backend, REQUEST) for backend in backends]
    found += [request_fingerprint(backends[0], other) for other in OTHERS]
    assert len(set(found)) == len(found)
    assert request_fingerprint(NoBackend(), replace(REQUEST)) == found[0]


LOGPROBS = st.floats(max_value=0, allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8"))
TOKENS = st.builds(AnswerToken, TEXT, LOGPROBS, st.dictionaries(TEXT, LOGPROBS, max_size=3))
COUNTS = st.integers(0, 10**6)
ANSWERS = st.builds(
    Answer, TEXT, COUNTS, COUNTS, st.none() | st.lists(TOKENS, max_size=3).map(tuple), st.none() | st.floats(0, 1e3)
)


@given(ANSWERS)
def test_an_answer_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, answer: Answer) -> None:
    cache = AnswerCache(tmp_path_factory.mktemp("cache"))
    cache.write(KEY, answer)
    assert cache.read(KEY) == answer


def test_an_impossible_token_has_the_least_log_probability(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.write(KEY, Answer("a", 1, 1, (AnswerToken("a", float("-inf"), {"b": float("-inf")}),)))
    got = cache.read(KEY)
    assert got is not None
    assert got.tokens == (AnswerToken("a", -9999.0, {"b": -9999.0}),)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"format": 0, "answer": {}}',
        '{"format": 1, "answer": {"text": "a"}}',
        '{"format": 1, "answer": {"text": 1, "prompt_tokens": 1, "answer_tokens": 1, "tokens": null, "cost": null}}',
        '{"format": 1, "answer": {"text": "a", "prompt_tokens": 1, "answer_tokens": 1, "tokens": [1], "cost": null}}',
        '{"format": 1, "answer": {"text": "a", "prompt_tokens": 1, "answer_tokens": 1, "tokens": [["a"]], "cost": 0}}',
    ],
)
def test_a_damaged_file_counts_as_absent_and_is_replaced(content: str, tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    answer = Answer("a", 1, 2)
    cache.write(KEY, answer)
    (path,) = tmp_path.rglob("*.json")
    assert json.loads(path.read_text())["answer"]["text"] == "a"
    path.write_text(content)
    assert cache.read(KEY) is None
    cache.write(KEY, answer)
    assert cache.read(KEY) == answer


def test_what_is_not_stored_is_absent(tmp_path: Path) -> None:
    assert AnswerCache(tmp_path / "new").read(KEY) is None
