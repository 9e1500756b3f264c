"""The OpenAI protocol over real sockets, with the real SDK: answers, errors, images, and what is sent."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saefari.interp.clients.answer_cache import AnswerCache
from saefari.interp.clients.answers import binary_list
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, ClientError, ImagePart, Message, Request
from saefari.interp.clients.cost import Prices
from saefari.interp.clients.key import Key
from saefari.interp.clients.openai_endpoint import OpenAIEndpoint
from saefari.interp.records import ExplanationError
from tests.interp.endpoint import DROP, HANG, MODEL, Endpoint, Received, Reply, answer, completion, error

SECRET = "sk-or-v1-0123456789abcdef"
PNG = b"\x89PNG\r\n\x1a\n and more"
GOOD = answer("[1, 0]")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", SECRET)


def request(text: str = "which?", **options: Any) -> Request:
    return Request((Message.of("system", "You read lists."), Message.of("user", text)), **options)


def make_client(server: Endpoint, **options: Any) -> Client:
    backend = OpenAIEndpoint(MODEL, server.url, Key("TEST_KEY"))
    return Client(backend, **{"first_pause": 0.001, "timeout": 10.0, **options})


def two_bits(answer: Answer) -> list[bool]:
    return binary_list(answer.text, 2)


def whole(answer: Answer) -> Answer:
    return answer


def ask(client: Client, *requests: Request, parse: Callable[[Answer], Any] = two_bits) -> list[Any]:
    """What each request gives, an error included."""

    async def all_of_them() -> list[Any]:
        try:
            asked = [client.ask(one, parse) for one in requests or (request(),)]
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await client.close()

    return asyncio.run(all_of_them())


def test_what_is_sent_and_what_comes_back() -> None:
    with Endpoint(answer("ünï – 漢字 🦁")) as server:
        (got,) = ask(make_client(server), request("Grüße, 世界", max_tokens=7, seed=3), parse=whole)
    assert got == Answer("ünï – 漢字 🦁", 20, 5)
    (sent,) = server.requests
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {SECRET}"
    assert sent.body == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "You read lists."}, {"role": "user", "content": "Grüße, 世界"}],
        "max_tokens": 7,
        "temperature": 0.0,
        "seed": 3,
    }


def test_an_answer_is_valid_unicode(tmp_path: Path) -> None:
    broken = Reply(b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "\\ud800!"}}]}')
    with Endpoint(broken) as server:
        (got,) = ask(make_client(server, cache=AnswerCache(tmp_path)), parse=whole)
    assert got.text == "?!"


def test_an_image_is_sent_as_a_data_url() -> None:
    question = Request((Message("user", ("what?", ImagePart(PNG), ImagePart(b"\xff\xd8jpeg"))),))
    with Endpoint(GOOD) as server:
        assert ask(make_client(server, vision=True), question) == [[True, False]]
    text, png, jpeg = server.requests[0].prompt
    assert text == {"type": "text", "text": "what?"}
    assert png["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert jpeg["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_log_probabilities_are_read() -> None:
    top = [{"token": "Yes", "logprob": -0.1, "bytes": None}, {"token": "No", "logprob": -2.5, "bytes": None}]
    content = [{"token": "Yes", "logprob": -0.1, "bytes": None, "top_logprobs": top}]
    with Endpoint(Reply(completion("Yes", logprobs={"content": content}))) as server:
        (got,) = ask(make_client(server), request(top_logprobs=2), parse=whole)
    assert [(one.text, one.logprob, one.top) for one in got.tokens] == [("Yes", -0.1, {"Yes": -0.1, "No": -2.5})]
    assert (server.requests[0].body["logprobs"], server.requests[0].body["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize("text", ["```json\n[1, 0]\n```", "<think>[1]?</think>Sure: [yes, no]", '{"labels": [1, 0]}'])
def test_real_answers_are_parsed(text: str) -> None:
    with Endpoint(answer(text)) as server:
        assert ask(make_client(server)) == [[True, False]]


@pytest.mark.parametrize("text", ["[1, 0, 1]", '{"labels": [1,', "no", "", None])
def test_an_unusable_answer_is_asked_again(text: str | None) -> None:
    with Endpoint(answer(text), GOOD) as server:
        client = make_client(server)
        assert ask(client) == [[True, False]]
    first, second = (one.body["seed"] for one in server.requests)
    assert first != second
    assert client.usage.unusable == 1


def test_an_answer_that_stays_unusable_is_raised_with_its_text() -> None:
    cut_off = Reply(completion("[1, 0, 1", usage={"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}))
    with Endpoint(cut_off) as server:
        (failure,) = ask(make_client(server, attempts=2), request(max_tokens=4))
    assert isinstance(failure, ExplanationError)
    assert failure.raw == "[1, 0, 1"
    assert "cut off after explain.client.max_tokens, 4" in str(failure)


@pytest.mark.parametrize(
    "first",
    [
        error(429, retry_after="0.01"),
        error(429, retry_after_ms="5"),
        error(500),
        error(503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
        Reply("<html>Bad gateway</html>", 502),
        DROP,
        Reply(b'{"id": "chatcmpl-1", "choi'),
        Reply({"error": {"message": "upstream", "code": 502}}),
        Reply(completion("[0", error={"message": "upstream", "code": 503})),
    ],
    ids=["429", "429 ms", "500", "503 date", "502 html", "drop", "cut json", "error in 200", "error in choice"],
)
def test_temporary_failures_are_retried(first: Reply) -> None:
    with Endpoint(first, GOOD) as server:
        client = make_client(server)
        assert ask(client) == [[True, False]]
    assert (client.usage.requests, client.usage.retries, client.usage.failures) == (2, 1, 0)


def test_retry_after_is_obeyed() -> None:
    with Endpoint(error(429, "slow down", retry_after="5000")) as server:
        (failure,) = ask(make_client(server))
    assert "HTTP 429: slow down; the server asks to wait 5,000 s" in str(failure)


def test_a_hanging_request_times_out() -> None:
    with Endpoint(HANG, GOOD) as server:
        client = make_client(server, timeout=1.5)
        assert ask(client) == [[True, False]]
    assert client.usage.retries == 1


def test_nobody_listens() -> None:
    with Endpoint(GOOD) as server:
        pass
    (failure,) = ask(make_client(server, attempts=2))
    assert f"{MODEL} at 127.0.0.1:{server.port}: no connection" in str(failure)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (error(401, "bad key"), "HTTP 401: bad key; check the key in TEST_KEY"),
        (error(402, "pay"), "HTTP 402: pay; there is no credit left"),
        (error(429, "quota", code="insufficient_quota"), "HTTP 429: quota; there is no credit left"),
        (error(403, "not in your country"), "HTTP 403: not in your country"),
        (
            error(404, "unknown model"),
            "HTTP 404: unknown model; check explain.client.model and explain.client.base_url",
        ),
        (Reply({"error": {"message": "pay", "code": 402}}), "HTTP 402: pay; there is no credit left"),
    ],
)
def test_a_final_failure_stops_everything(reply: Reply, message: str) -> None:
    with Endpoint(GOOD, reply) as server:
        client = make_client(server, concurrency=1)
        results = ask(client, *(request(str(i)) for i in range(10)))
    assert results[0] == [True, False]
    assert {str(one) for one in results[1:]} == {f"{MODEL} at 127.0.0.1:{server.port}: {message}"}
    assert len(server.requests) == 2


@pytest.mark.parametrize("reply", [error(400, "context too long"), error(403, "your input was flagged")])
def test_a_request_that_is_refused_fails_alone(reply: Reply) -> None:
    with Endpoint(reply, GOOD) as server:
        results = ask(make_client(server, concurrency=1), request("a"), request("b"))
    assert isinstance(results[0], ClientError)
    assert results[1] == [True, False]


def test_a_page_is_no_answer() -> None:
    with Endpoint(Reply("<html>Welcome</html>")) as server:
        (failure,) = ask(make_client(server, attempts=1))
    assert "no chat completion; check explain.client.base_url" in str(failure)


def test_parameters_that_a_model_refuses_are_renamed_or_left_out() -> None:
    def strict(received: Received) -> Reply:
        if "max_tokens" in received.body:
            return error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if "temperature" in received.body:
            return error(400, "Unsupported value: 'temperature' does not support 0.")
        return GOOD

    with Endpoint(strict) as server:
        client = make_client(server)
        assert ask(client, *(request(str(i)) for i in range(4))) == [[True, False]] * 4
        assert ask(client, request("later")) == [[True, False]]
    assert server.requests[-1].body["max_completion_tokens"] == 500
    assert [one.prompt for one in server.requests].count("later") == 1


def test_costs_are_those_of_the_endpoint_else_of_the_prices() -> None:
    reported = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    with Endpoint(
        Reply(completion("[1, 0]", {**reported, "cost": 0.25})), Reply(completion("[1, 0]", reported))
    ) as server:
        client = make_client(server, prices=Prices(1.0, 10.0), concurrency=1)
        ask(client, request("a"), request("b"))
    assert client.usage.cost == pytest.approx(0.25 + 0.001 + 0.001)


def test_tokens_are_estimated_where_a_server_does_not_count() -> None:
    body = completion("[1, 0]")
    del body["usage"]
    with Endpoint(Reply(body)) as server:
        (got,) = ask(make_client(server), parse=whole)
    assert 5 <= got.prompt_tokens <= 50
    assert got.answer_tokens == 2


def test_the_server_sees_the_bound_on_concurrency() -> None:
    with Endpoint(GOOD, seconds=0.02) as server:
        results = ask(make_client(server, concurrency=5), *(request(str(i)) for i in range(25)))
    assert results == [[True, False]] * 25
    assert server.most_at_once == 5


def test_a_client_outlives_its_event_loop() -> None:
    with Endpoint(GOOD) as server:
        client = make_client(server)

        async def one() -> list[bool]:
            return await client.ask(request(), two_bits)

        assert [asyncio.run(one()), asyncio.run(one())] == [[True, False]] * 2
    assert client.usage.retries == 0
