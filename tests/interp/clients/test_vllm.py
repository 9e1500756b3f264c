"""What is read from vLLM's outputs, by their documented shape; vLLM itself needs a GPU and is not installed here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from saefari.interp.clients.client import Answer, AnswerToken, Message, Request
from saefari.interp.clients.vllm import _answer

OUTPUT = SimpleNamespace(
    prompt_token_ids=[5, 6, 7],
    outputs=[
        SimpleNamespace(
            text=" Yes",
            token_ids=[11],
            logprobs=[
                {
                    11: SimpleNamespace(logprob=-0.5, rank=1, decoded_token=" Yes"),
                    12: SimpleNamespace(logprob=-1.5, rank=2, decoded_token=" No"),
                }
            ],
        )
    ],
)


@pytest.mark.parametrize(
    ("n_top", "tokens"), [(0, None), (2, (AnswerToken(" Yes", -0.5, {" Yes": -0.5, " No": -1.5}),))]
)
def test_an_output_is_read(n_top: int, tokens: tuple[AnswerToken, ...] | None) -> None:
    request = Request((Message.of("user", "?"),), top_logprobs=n_top)
    assert _answer(OUTPUT, request) == Answer("Yes", 3, 1, tokens)
