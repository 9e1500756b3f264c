"""The pipeline: order of contents, failures that stop nothing, a client that stops, memory, interruption."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saefari.interp.clients.answer_cache import AnswerCache
from saefari.interp.clients.ask import Client
from saefari.interp.clients.key import Key
from saefari.interp.clients.openai_endpoint import OpenAIEndpoint
from saefari.interp.explain_many import LatentResult, explain_latents, explain_many
from saefari.interp.records import Explanation, LatentExamples
from tests.interp.endpoint import MODEL, Endpoint, Received, Reply, answer, error
from tests.interp.steps import Asking, Detecting, Local, examples_of

PROGRAM = Path(__file__).with_name("explain_program.py")


def obliging(received: Received) -> Reply:
    """Answer each question; the fewer digits, the later, so that latents are finished in another order."""
    number = received.prompt.split()[1].rstrip(":")
    text = f'{{"name": "name {number}"}}' if received.prompt.startswith("explain") else "[1, 0]"
    return answer(text, delay=0.02 / len(number))


def make_client(server: Endpoint, cache: Path | None = None, **options: Any) -> Client:
    backend = OpenAIEndpoint(MODEL, server.url, Key(None))
    return Client(backend, cache=AnswerCache(cache) if cache else None, **{"first_pause": 0.001, **options})


def explain_all(
    client: Client, numbers: Iterable[int], local: Local | None = None, at_once: int = 64
) -> dict[int, LatentResult]:
    results: dict[int, LatentResult] = {}

    def keep(result: LatentResult) -> None:
        assert result.examples.latent not in results
        results[result.examples.latent] = result

    explainers = [Asking(client), local or Local()]
    explain_latents(map(examples_of, numbers), explainers, [Detecting(client)], keep, at_once=at_once, client=client)
    return results


def contents(results: dict[int, LatentResult]) -> list[Any]:
    return [(key, result.explanations, result.failures) for key, result in sorted(results.items())]


def test_results_do_not_depend_on_the_order_of_answers() -> None:
    with Endpoint(obliging) as server:
        many = explain_all(make_client(server, concurrency=16), range(25))
        one = explain_all(make_client(server, concurrency=1), reversed(range(25)))
    assert list(many) != sorted(many)
    assert contents(many) == contents(one)
    result = many[7]
    assert [one.explanation.name for one in result.explanations] == ["name 7", "word7"]
    assert [[score.value for score in one.scores] for one in result.explanations] == [[0.5], [0.5]]
    assert result.failures == ()


def test_a_failed_step_stops_no_other() -> None:
    def moody(received: Received) -> Reply:
        kind, number = received.prompt.split()[:2]
        if number == "3:":
            return answer("I would rather not." if kind == "explain" else "[1, 0, 1]")
        return obliging(received)

    with Endpoint(moody) as server:
        results = explain_all(make_client(server, attempts=2), range(6), Local(lambda latent: latent == 4))
    assert {key: len(result.failures) for key, result in results.items()} == {0: 0, 1: 0, 2: 0, 3: 2, 4: 1, 5: 0}
    explaining, scoring = results[3].failures
    assert (explaining.step, explaining.raw) == ("explain asking", "I would rather not.")
    assert (scoring.step, scoring.raw) == ("score detecting of local", "[1, 0, 1]")
    assert (results[4].failures[0].reason, results[4].failures[0].raw) == ("too few words", "the")
    assert [one.explanation.explainer for one in results[3].explanations] == ["local"]
    assert results[3].explanations[0].scores == ()


def test_a_mistake_in_an_explainer_is_a_failure() -> None:
    class Broken(Local):
        async def explain(self, examples: LatentExamples) -> Explanation:
            raise KeyError("name")

    with Endpoint(obliging) as server:
        results = explain_all(make_client(server), range(2), Broken())
    assert results[1].failures[0].reason == "KeyError: 'name'"
    assert [one.explanation.explainer for one in results[1].explanations] == ["asking"]


def test_a_final_error_keeps_what_is_done_and_lists_the_rest_once(caplog: pytest.LogCaptureFixture) -> None:
    paid = iter(range(10))

    def poor(received: Received) -> Reply:
        return obliging(received) if next(paid, None) is not None else error(402, "pay")

    with Endpoint(poor) as server:
        client = make_client(server, concurrency=2)
        results = explain_all(client, range(40), at_once=2)
    assert len(results) == 40
    assert len(server.requests) <= 10 + 2
    assert sum(len(one.scores) for result in results.values() for one in result.explanations) >= 2
    assert all("local" in [one.explanation.explainer for one in result.explanations] for result in results.values())
    (last,) = results[39].failures
    assert last.step == "explain asking, score detecting of local"
    assert "HTTP 402: pay; there is no credit left" in last.reason
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"no further requests are sent: {client.stopped}"
    ]


def test_latents_are_read_only_as_far_as_they_are_worked_on() -> None:
    read: list[int] = []

    def lazily() -> Iterator[LatentExamples]:
        for latent in range(50):
            read.append(latent)
            assert threading.current_thread() is not threading.main_thread()
            yield examples_of(latent)

    async def most_ahead() -> int:
        done, ahead = 0, 0
        async for _ in explain_many(lazily(), [Local()], [], at_once=4):
            done += 1
            ahead = max(ahead, len(read) - done)
        assert done == 50
        return ahead

    assert asyncio.run(most_ahead()) <= 5


def test_an_error_in_reading_comes_after_the_results() -> None:
    def broken() -> Iterator[LatentExamples]:
        yield from map(examples_of, range(3))
        raise OSError("the cache is damaged")

    results: list[LatentResult] = []
    with pytest.raises(OSError, match="the cache is damaged"):
        explain_latents(broken(), [Local()], [], results.append)
    assert len(results) == 3


def test_an_error_in_storing_stops_the_run() -> None:
    def full(result: LatentResult) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        explain_latents(map(examples_of, range(100)), [Local()], [], full)


def start(server: Endpoint, cache: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), server.url, str(cache), *flags]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for(server: Endpoint, n_requests: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while len(server.requests) < n_requests:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_killed_run_pays_for_nothing_twice(tmp_path: Path) -> None:
    with Endpoint(obliging, seconds=0.01) as server:
        process = start(server, tmp_path, "--concurrency", "3")
        wait_for(server, 20, process)
        process.kill()
        process.communicate()
        before = len(server.requests)
        cached = len(list(tmp_path.rglob("*.json")))
        assert cached >= before - 3 - 3  # answers on their way to the client, and to the disk
        process = start(server, tmp_path, "--concurrency", "3")
        output, _ = process.communicate(timeout=300)
    prompts = [one.prompt for one in server.requests]
    assert output.count("name") == 20
    assert len(set(prompts)) == 60  # 20 latents: one explanation by the model, two scored ones
    assert len(prompts) == 60 + before - cached


def test_an_interrupted_run_has_handed_over_what_was_done(tmp_path: Path) -> None:
    def slow_in_the_end(received: Received) -> Reply:
        return replace(obliging(received), delay=10.0 if len(server.requests) > 40 else 0.0)

    with Endpoint(slow_in_the_end) as server:
        process = start(server, tmp_path, "--concurrency", "2")
        wait_for(server, 41, process)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=300)
    assert 1 <= output.count("name") < 20
    assert errors == "interrupted\n"


def test_it_runs_where_an_event_loop_is_running() -> None:
    """As in a notebook, or in a test after Playwright was used."""

    async def cell() -> list[int]:
        results: list[LatentResult] = []
        explain_latents(map(examples_of, range(3)), [Local()], [], results.append)
        return sorted(one.examples.latent for one in results)

    assert asyncio.run(cell()) == [0, 1, 2]
