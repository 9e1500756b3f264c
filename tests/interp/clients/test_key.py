"""The key appears nowhere: messages, tracebacks with their variables, logs, cache, other hosts; errors echo it here."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from saefari.errors import ConfigError
from saefari.interp.clients.answer_cache import AnswerCache
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, Message, Request
from saefari.interp.clients.key import Key
from saefari.interp.clients.openai_endpoint import OpenAIEndpoint
from tests.interp.endpoint import DROP, HANG, MODEL, Endpoint, Received, Reply, answer, error

SECRET = "qz7Kw0-unmistakable-9341"


def echoing(received: Received) -> Reply:
    """An answer that repeats the headers of the request."""
    return answer(f"you sent {received.headers}")


REPLIES = {
    "good": answer("[1, 0]"),
    "echo": echoing,
    "401": error(401, f"Incorrect API key provided: {SECRET}"),
    "400": error(400, f"headers: Bearer {SECRET}"),
    "429": error(429, SECRET, retry_after="9999"),
    "500": error(500, SECRET),
    "200 with error": Reply({"error": {"message": SECRET, "code": 400}}),
    "html": Reply(f"<html>{SECRET}</html>", 502),
    "cut": Reply(f'{{"a": "{SECRET}'.encode()),
    "hang": HANG,
    "drop": DROP,
    "redirect": Reply(None, 307, {"location": "http://127.0.0.1:9/"}),
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", f" {SECRET}\n")


def whole(answer: Answer) -> str:
    return answer.text


def ask(client: Client) -> Any:
    async def once() -> Any:
        try:
            return await client.ask(Request((Message.of("user", "hello"),)), whole)
        finally:
            await client.close()

    return asyncio.run(once())


def variables(error: BaseException | None) -> list[str]:
    """Every local variable in the traceback of an error, and of those that it came from; the test's own excepted."""
    if error is None:
        return []
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename != __file__]
    values = [repr(value) for frame in frames for value in frame.f_locals.values()]
    return [*values, repr(error.args), *variables(error.__cause__), *variables(error.__context__)]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_the_key_appears_nowhere(
    reply: Reply, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    caplog.set_level(logging.DEBUG)
    with Endpoint(reply) as server:
        backend = OpenAIEndpoint(MODEL, server.url, Key("TEST_KEY"))
        client = Client(backend, attempts=2, first_pause=0.001, timeout=0.1, cache=AnswerCache(tmp_path))
        try:
            shown.append(ask(client))
        except Exception as failure:
            shown += [str(failure), repr(failure), repr(vars(failure)), *variables(failure)]
        assert SECRET in server.requests[0].headers["authorization"]
    shown += [repr(client), repr(backend), repr(vars(backend)["_key"]), repr(backend.settings), repr(client.usage)]
    shown += [caplog.text, *capfd.readouterr()]
    shown += [path.read_text() + str(path) for path in tmp_path.rglob("*.json")]
    assert [text for text in shown if SECRET in text or SECRET[4:] in text] == []


def test_a_redirect_carries_the_key_to_no_other_host() -> None:
    with Endpoint(answer("hello")) as other, Endpoint(Reply(None, 307, {"location": other.url})) as server:
        client = Client(OpenAIEndpoint(MODEL, server.url, Key("TEST_KEY")))
        with pytest.raises(Exception, match=rf"redirects are not followed.*\(127.0.0.1:{other.port}\)"):
            ask(client)
    assert other.requests == []
    assert client.stopped is not None


def test_without_a_key_that_of_the_environment_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with Endpoint(answer("hello")) as server:
        assert ask(Client(OpenAIEndpoint(MODEL, server.url, Key(None)))) == "hello"
    assert SECRET not in str(server.requests[0].headers)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_key_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY")
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigError, match=r"explain\.client\.key_variable: environment variable TEST_KEY is not set"):
        Key("TEST_KEY")


@pytest.mark.parametrize("value", ["two words", "schlüssel", "a\nb"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigError, match="characters that no key has") as caught:
        Key("TEST_KEY")
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Incorrect API key provided: sk-proj-****abcd.", "Incorrect API key provided: ***"),
        ("Authorization: Bearer abc123, more", "Authorization: ***, more"),
        ("a task-oriented risk", "a task-oriented risk"),
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str, expected: str) -> None:
    assert Key("TEST_KEY").scrub(text) == expected
