"""Explain and score many latents at once; each result is handed over as soon as it is there.

A step that fails is recorded and stops no other one. What a result contains does not depend on the order in which
latents are finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from saefari.errors import explain_failure
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import ClientError
from saefari.interp.event_loop import run_to_end
from saefari.interp.explainers.explainer import Explainer
from saefari.interp.records import Explanation, ExplanationError, Failure, LatentExamples, NotPossibleError, Score
from saefari.interp.scorers.scorer import Scorer

T = TypeVar("T")

AT_ONCE = 64
"""Latents in work, and so in memory, at the same time. Not below the client's concurrency, since a latent's scores wait
for its explanation."""


@dataclass(frozen=True)
class ScoredExplanation:
    """An explanation with its scores, in the order of the scorers; those that failed are missing."""

    explanation: Explanation
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class LatentResult:
    """What came out for one latent.

    explanations: in the order of the explainers; those that failed are missing. failures: of all its steps, those of a
    client that sends nothing any more as one.
    """

    examples: LatentExamples
    explanations: tuple[ScoredExplanation, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    """The value of a step, or its failure. is_final: the client sends no further requests."""

    value: T | None = None
    failure: Failure | None = None
    is_final: bool = False


async def explain_many(
    latents: Iterable[LatentExamples],
    explainers: Sequence[Explainer],
    scorers: Sequence[Scorer],
    *,
    at_once: int = AT_ONCE,
) -> AsyncGenerator[LatentResult, None]:
    """Yield the result of each latent when it is done.

    latents: read in a thread, one at a time, and only as far as `at_once` allows. An error in reading them is raised
    after the latents in work are done.
    """
    iterator = iter(latents)
    working: set[asyncio.Task[LatentResult]] = set()
    reading: asyncio.Task[LatentExamples | None] | None = None
    error: BaseException | None = None
    is_read = False
    try:
        while True:
            if reading is None and not is_read and len(working) < at_once:
                reading = asyncio.create_task(asyncio.to_thread(next, iterator, None))
            if reading is None and not working:
                break
            await asyncio.wait(working | ({reading} if reading else set()), return_when=asyncio.FIRST_COMPLETED)
            if reading is not None and reading.done():
                error = reading.exception()
                examples = None if error else reading.result()
                reading, is_read = None, examples is None
                if examples is not None:
                    working.add(asyncio.create_task(_explain(examples, explainers, scorers)))
            for task in [task for task in working if task.done()]:
                working.remove(task)
                yield task.result()
    finally:
        unfinished: list[asyncio.Task[Any]] = [*working, *([reading] if reading else [])]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
    if error is not None:
        raise error


def explain_latents(
    latents: Iterable[LatentExamples],
    explainers: Sequence[Explainer],
    scorers: Sequence[Scorer],
    on_result: Callable[[LatentResult], None],
    *,
    at_once: int = AT_ONCE,
    client: Client | None = None,
) -> None:
    """Run `explain_many` outside an event loop; call `on_result` with each result when it is done.

    client: of the explainers and scorers; its connections are closed at the end. If the run is interrupted, all results
    that were done have been passed to `on_result`.
    """

    async def run() -> None:
        try:
            async with aclosing(explain_many(latents, explainers, scorers, at_once=at_once)) as results:
                async for result in results:
                    on_result(result)
        finally:
            if client is not None:
                await client.close()

    run_to_end(run())


async def _explain(
    examples: LatentExamples, explainers: Sequence[Explainer], scorers: Sequence[Scorer]
) -> LatentResult:
    """Explain one latent with every explainer, then score each explanation with every scorer."""
    latent = examples.latent
    explained = await asyncio.gather(
        *(_attempt(latent, f"explain {one.name}", partial(one.explain, examples)) for one in explainers)
    )
    explanations = [outcome.value for outcome in explained if outcome.value is not None]
    scored = await asyncio.gather(*(_score(examples, explanation, scorers) for explanation in explanations))
    return LatentResult(
        examples,
        tuple(
            ScoredExplanation(explanation, tuple(outcome.value for outcome in outcomes if outcome.value is not None))
            for explanation, outcomes in zip(explanations, scored, strict=True)
        ),
        _failures(latent, [*explained, *(outcome for outcomes in scored for outcome in outcomes)]),
    )


async def _score(
    examples: LatentExamples, explanation: Explanation, scorers: Sequence[Scorer]
) -> list[_Outcome[Score]]:
    steps = [(f"score {one.name} of {explanation.explainer}", one) for one in scorers]
    return await asyncio.gather(
        *(_attempt(examples.latent, step, partial(one.score, examples, explanation)) for step, one in steps)
    )


async def _attempt(latent: int, step: str, start: Callable[[], Awaitable[T]]) -> _Outcome[T]:
    """Run one step; turn any error into a failure."""
    try:
        return _Outcome(await start())
    except Exception as error:
        is_possible = not isinstance(error, NotPossibleError)
        raw = error.raw if isinstance(error, ExplanationError) else None
        is_final = isinstance(error, ClientError) and error.is_final
        return _Outcome(failure=Failure(latent, step, explain_failure(error), raw, is_possible), is_final=is_final)


def _failures(latent: int, outcomes: Sequence[_Outcome[Explanation] | _Outcome[Score]]) -> tuple[Failure, ...]:
    """Return the failures in order, with all those of a stopped client as one that names their steps."""
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None and not outcome.is_final]
    unsent = [outcome.failure for outcome in outcomes if outcome.failure is not None and outcome.is_final]
    if unsent:
        failures.append(Failure(latent, ", ".join(failure.step for failure in unsent), unsent[0].reason))
    return tuple(failures)
