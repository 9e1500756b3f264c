"""The client: retries, concurrency, budget, cache and counts, with a backend that does what a script says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from saefari.interp.clients.answer_cache import AnswerCache
from saefari.interp.clients.answers import binary_list
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, ClientError, ImagePart, Message, Request
from saefari.interp.clients.cost import Prices
from saefari.interp.records import ExplanationError


class ScriptedBackend:
    """Gives one answer, or raises one error, after another; the last one again and again."""

    model = "scripted"

    def __init__(self, *script: str | Exception, seconds: float = 0.0) -> None:
        self.settings: Mapping[str, Any] = {}
        self.script = list(script)
        self.seconds = seconds
        self.requests: list[Request] = []
        self.now = self.most = 0

    async def complete(self, request: Request) -> Answer:
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        if isinstance(step, Exception):
            raise step
        return Answer(step, 100, 10)


def request(text: str = "which?", **options: Any) -> Request:
    return Request((Message.of("user", text),), **options)


def two_bits(answer: Answer) -> list[bool]:
    return binary_list(answer.text, 2)


def make_client(backend: ScriptedBackend, **options: Any) -> Client:
    return Client(backend, **{"first_pause": 0.001, **options})


def ask(client: Client, texts: Iterable[str] = ("which?",)) -> list[Any]:
    """What each request gives, an error included."""

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(client.ask(request(text), two_bits) for text in texts), return_exceptions=True)

    return asyncio.run(all_of_them())


BUSY = ClientError("busy", is_temporary=True)


def test_temporary_errors_are_retried_with_the_same_request() -> None:
    backend = ScriptedBackend(BUSY, BUSY, "[1, 0]")
    client = make_client(backend)
    assert ask(client) == [[True, False]]
    assert backend.requests == [request()] * 3
    usage = client.usage
    assert (usage.requests, usage.retries, usage.failures, usage.prompt_tokens) == (3, 2, 0, 100)


def test_attempts_are_limited() -> None:
    client = make_client(ScriptedBackend(BUSY), attempts=3)
    (error,) = ask(client)
    assert isinstance(error, ClientError)
    assert str(error) == "busy"
    assert (client.usage.requests, client.usage.failures) == (3, 1)


def test_another_error_is_not_retried() -> None:
    client = make_client(ScriptedBackend(ClientError("context too long"), "[1, 0]"))
    results = ask(client)
    assert isinstance(results[0], ClientError)
    assert ask(client) == [[True, False]]
    assert client.usage.requests == 2


def test_an_unusable_answer_is_asked_again_with_another_seed_and_raised_with_its_text() -> None:
    backend = ScriptedBackend("[1, 0, 1]")
    client = make_client(backend, attempts=3)
    (error,) = ask(client)
    assert isinstance(error, ExplanationError)
    assert error.raw == "[1, 0, 1]"
    assert len({one.seed for one in backend.requests}) == 3
    assert [one.temperature for one in backend.requests] == [0, 0.5, 0.5]
    assert (client.usage.unusable, client.usage.failures, client.usage.retries) == (3, 1, 2)


def test_the_cache_holds_only_answers_that_could_be_used(tmp_path: Path) -> None:
    backend = ScriptedBackend("perhaps", "[1, 0]", "nothing")
    assert ask(make_client(backend, cache=AnswerCache(tmp_path))) == [[True, False]]
    assert len(list(tmp_path.rglob("*.json"))) == 1
    again = make_client(backend, cache=AnswerCache(tmp_path), attempts=1)
    results = ask(again, ["which?", "another"])
    assert results[0] == [True, False]
    assert isinstance(results[1], ExplanationError)
    assert len(list(tmp_path.rglob("*.json"))) == 1
    assert (again.usage.cache_hits, again.usage.requests) == (1, 1)


def test_a_stored_answer_that_is_no_longer_accepted_is_asked_for_again(tmp_path: Path) -> None:
    ask(make_client(ScriptedBackend("[1, 0]"), cache=AnswerCache(tmp_path)))

    def three_bits(answer: Answer) -> list[bool]:
        return binary_list(answer.text, 3)

    client = make_client(ScriptedBackend("[1, 0, 1]"), cache=AnswerCache(tmp_path))
    assert asyncio.run(client.ask(request(), three_bits)) == [True, False, True]
    assert asyncio.run(client.ask(request(), three_bits)) == [True, False, True]
    assert (client.usage.requests, client.usage.cache_hits) == (1, 1)


def test_stored_answers_are_given_after_a_final_error_too(tmp_path: Path) -> None:
    ask(make_client(ScriptedBackend("[1, 0]"), cache=AnswerCache(tmp_path)))
    backend = ScriptedBackend(ClientError("no credit", is_final=True))
    client = make_client(backend, cache=AnswerCache(tmp_path), concurrency=1)
    results = ask(client, ["new", "which?"])
    assert [str(results[0]), results[1]] == ["no credit", [True, False]]


def test_nothing_more_is_paid_for_if_answers_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    client = make_client(ScriptedBackend("[1, 0]"), cache=AnswerCache(tmp_path / "file"), concurrency=1)
    results = ask(client, map(str, range(9)))
    assert all(isinstance(one, ClientError) for one in results)
    assert str(client.stopped).startswith("answers cannot be kept: ")
    assert client.usage.requests <= 3


def test_equal_requests_at_the_same_time_are_sent_once(tmp_path: Path) -> None:
    client = make_client(ScriptedBackend("[1, 0]", seconds=0.01), cache=AnswerCache(tmp_path))
    assert ask(client, ["which?"] * 5) == [[True, False]] * 5
    assert (client.usage.requests, client.usage.cache_hits) == (1, 4)


def test_concurrency_is_bounded_and_used() -> None:
    backend = ScriptedBackend("[1, 0]", seconds=0.002)
    ask(make_client(backend, concurrency=7), map(str, range(40)))
    assert backend.most == 7


def test_a_final_error_stops_all_requests_at_once() -> None:
    backend = ScriptedBackend("[1, 0]", ClientError("no credit", is_final=True))
    client = make_client(backend, concurrency=1)
    results = ask(client, map(str, range(20)))
    assert results[0] == [True, False]
    assert [str(error) for error in results[1:]] == ["no credit"] * 19
    assert len(backend.requests) == client.usage.requests == 2
    assert client.usage.failures == 1


def test_a_final_error_ends_the_pauses_of_others() -> None:
    backend = ScriptedBackend(BUSY, ClientError("no credit", is_final=True))
    client = make_client(backend, first_pause=60)

    async def both() -> list[Any]:
        asked = asyncio.gather(*(client.ask(request(text), two_bits) for text in "ab"), return_exceptions=True)
        return await asyncio.wait_for(asked, 20)  # the pause is longer

    assert [str(error) for error in asyncio.run(both())] == ["no credit"] * 2


def test_a_dead_endpoint_is_given_up() -> None:
    client = make_client(ScriptedBackend(BUSY), attempts=1, concurrency=2)
    results = ask(client, map(str, range(100)))
    assert client.usage.requests <= 12
    assert client.stopped is not None
    assert str(results[-1]) == "10 requests in a row failed, the last one with: busy"


def test_failures_between_answers_stop_nothing() -> None:
    script = [step for _ in range(15) for step in (ClientError("too long"), "[1, 0]")]
    client = make_client(ScriptedBackend(*script), concurrency=1)
    results = ask(client, map(str, range(30)))
    assert results[1::2] == [[True, False]] * 15
    assert client.stopped is None


def test_the_server_s_pause_holds_for_all_requests() -> None:
    backend = ScriptedBackend(ClientError("slow down", is_temporary=True, retry_after=0.05), "[1, 0]")
    client = make_client(backend, concurrency=1)

    async def timed() -> float:
        start = asyncio.get_running_loop().time()
        await asyncio.gather(*(client.ask(request(text), two_bits) for text in "abc"))
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(timed()) >= 0.05
    assert len(backend.requests) == 4


def test_a_pause_of_hours_is_final() -> None:
    client = make_client(ScriptedBackend(ClientError("quota", is_temporary=True, retry_after=7200.0)))
    assert "quota; the server asks to wait 7,200 s" in str(ask(client)[0])


def test_a_time_out_is_retried() -> None:
    client = make_client(ScriptedBackend("[1, 0]", seconds=5), timeout=0.01, attempts=2)
    (error,) = ask(client)
    assert "no answer within 0.01 s (explain.client.timeout)" in str(error)
    assert client.usage.requests == 2


def test_the_budget_is_checked_before_a_request_is_sent() -> None:
    # an answer costs 110 tokens; a request at most 6 (text) + 16 (template) + 80 (answer)
    backend = ScriptedBackend("[1, 0]", seconds=0.001)
    client = make_client(backend, prices=Prices(1e6, 1e6), max_cost=350, concurrency=20)

    async def all_of_them() -> list[Any]:
        requests = [request(f"{i:6}", max_tokens=80) for i in range(20)]
        return await asyncio.gather(*(client.ask(one, two_bits) for one in requests), return_exceptions=True)

    results = asyncio.run(all_of_them())
    assert client.usage.requests == 3
    assert client.usage.cost == 330
    assert [isinstance(one, ClientError) for one in results].count(True) == 17
    assert str(client.stopped).startswith("explain.client.max_cost: $350 may not suffice")


def test_requests_wait_for_the_budget_that_others_reserve() -> None:
    """Bounds are far above real costs; a request whose bound fits only once others are answered is sent then."""
    client = make_client(ScriptedBackend("[1, 0]", seconds=0.001), prices=Prices(0, 1), max_cost=1e-3, concurrency=20)
    results = ask(client, map(str, range(50)))  # each: at most $0.0005, truly $0.00001
    assert results == [[True, False]] * 50
    assert client.usage.cost == pytest.approx(50 * 1e-5)


def test_a_request_that_the_server_refused_costs_nothing() -> None:
    client = make_client(ScriptedBackend(BUSY, "[1, 0]"), prices=Prices(0, 1), max_cost=6e-4)  # at most $0.0005 each
    assert ask(client) == [[True, False]]


def test_a_lost_answer_counts_in_the_budget_at_its_bound() -> None:
    lost = ClientError("dropped", is_temporary=True, may_cost=True)
    client = make_client(ScriptedBackend(lost), prices=Prices(0, 1), max_cost=1.2e-3, attempts=9)
    assert "max_cost" in str(ask(client)[0])
    assert client.usage.requests == 2


def test_a_client_works_in_several_event_loops() -> None:
    client = make_client(ScriptedBackend("[1, 0]", seconds=0.001), concurrency=2, prices=Prices(1, 1), max_cost=1)
    for _ in range(3):
        assert ask(client, "abcdef") == [[True, False]] * 6


def test_images_need_a_model_that_reads_them() -> None:
    backend = ScriptedBackend("[1, 0]")
    picture = Request((Message("user", ("what?", ImagePart(b"\x89PNG"))),))
    with pytest.raises(ClientError, match="scripted does not read images"):
        asyncio.run(make_client(backend).ask(picture, two_bits))
    assert backend.requests == []
    assert asyncio.run(make_client(backend, vision=True).ask(picture, two_bits)) == [True, False]


def test_unknown_costs_are_said_to_be_unknown() -> None:
    client = make_client(ScriptedBackend("[1, 0]"))
    ask(client)
    assert client.usage.record() == {
        "requests": 1, "cache_hits": 0, "retries": 0, "unusable": 0, "failures": 0,
        "prompt_tokens": 100, "answer_tokens": 10, "cost": None,
    }  # fmt: skip
