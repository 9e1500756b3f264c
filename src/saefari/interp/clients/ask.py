"""The client that explainers and scorers ask: it sends many requests at once, repeats failed ones, and counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from saefari.errors import StoreError
from saefari.interp.clients.answer_cache import AnswerCache, request_fingerprint
from saefari.interp.clients.budget import Bill, Budget
from saefari.interp.clients.client import Answer, Backend, ClientError, ImagePart, Request
from saefari.interp.clients.cost import Prices, most_cost
from saefari.interp.records import ExplanationError
from saefari.log import logger

T = TypeVar("T")

_LONGEST_PAUSE = 60.0
_LONGEST_WAIT = 600.0
"""Seconds; a server that asks for a longer pause has a quota, and waiting for it is the user's decision."""
_MOST_FAILURES_IN_A_ROW = 10
_RETRY_TEMPERATURE = 0.5
"""Least temperature after an unusable answer, since greedy decoding would give the same answer again."""
_SEED_STEP = 1_000_003


@dataclass
class Usage:
    """What a client did.

    requests: sent, repeated ones included. cache_hits: answers read from disk instead. retries: requests sent again.
    unusable: answers that could not be parsed. failures: requests given up. prompt_tokens, answer_tokens, cost
    (dollars): of the answers received. unpriced: answers whose cost is unknown.
    """

    requests: int = 0
    cache_hits: int = 0
    retries: int = 0
    unusable: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def since(self, before: Usage) -> Usage:
        """Return what was done since an earlier moment."""
        earlier = asdict(before)
        return Usage(**{name: value - earlier[name] for name, value in asdict(self).items()})

    def record(self) -> dict[str, Any]:
        """Return the counts as JSON-able values; cost is None if that of an answer is unknown."""
        record = asdict(self)
        del record["unpriced"]
        return {**record, "cost": None if self.unpriced else self.cost}


class _Stopped(ClientError):
    """The request was not sent, because an earlier one failed for good."""


@dataclass
class _Loop:
    """What belongs to one event loop, since a client may be used in several, one after another."""

    loop: asyncio.AbstractEventLoop
    slots: asyncio.Semaphore
    settled: asyncio.Condition = field(default_factory=asyncio.Condition)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    not_before: float = 0.0
    """Time of the loop's clock until which the server asked to wait."""


class Client:
    """A language model, asked many things at once.

    backend: sends one request once. concurrency: requests on their way at the same time. timeout: seconds per request;
    None: no limit. attempts: per request, for temporary errors and unusable answers. cache: answers on disk. prices:
    for answers whose cost the backend does not report. max_cost: dollars; needs `prices`. vision: whether requests may
    contain images. first_pause: seconds before the first retry, doubled for each further one.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        concurrency: int = 16,
        timeout: float | None = 60.0,
        attempts: int = 4,
        cache: AnswerCache | None = None,
        prices: Prices | None = None,
        max_cost: float | None = None,
        vision: bool = False,
        first_pause: float = 4.0,
    ) -> None:
        if max_cost is not None and prices is None:
            raise ValueError("max_cost needs prices")
        self.backend = backend
        self.concurrency = concurrency
        self.timeout = timeout
        self.attempts = attempts
        self.vision = vision
        self.usage = Usage()
        self.stopped: ClientError | None = None
        """The error after which no request is sent any more."""
        self._cache = cache
        self._prices = prices
        self._budget = None if max_cost is None else Budget(max_cost)
        self._first_pause = first_pause
        self._failures_in_a_row = 0
        self._last_loop: _Loop | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.backend.model

    async def ask(self, request: Request, parse: Callable[[Answer], T]) -> T:
        """Return `parse` of the answer, from the cache if it holds one that can be parsed.

        parse: raises ExplanationError for an answer that cannot be used; the request is then sent again, with another
        seed and a temperature of at least 0.5. Raises ClientError if the request failed, ExplanationError (with the
        answer as `raw`) if no answer could be used.
        """
        if self._cache is None:
            return (await self._answered(request, parse))[0]
        key = request_fingerprint(self.backend, request)
        async with self._loop().locks.setdefault(key, asyncio.Lock()):  # an equal request waits for the answer
            stored = self._cache.read(key)
            if stored is not None:
                with suppress(ExplanationError):  # another version of `parse` refuses it
                    value = parse(stored)
                    self.usage.cache_hits += 1
                    return value
            value, answer = await self._answered(request, parse)
            try:
                await asyncio.to_thread(self._cache.write, key, answer)
            except (StoreError, OSError) as error:  # further answers would be paid for and lost
                failure = ClientError(f"answers cannot be kept: {error}", is_final=True)
                self._give_up(failure)
                raise failure from error
            return value

    async def close(self) -> None:
        """Close the backend's connections, in the event loop that used them."""
        close = getattr(self.backend, "close", None)
        if close is not None:
            await close()

    async def _answered(self, request: Request, parse: Callable[[Answer], T]) -> tuple[T, Answer]:
        """Send a request until its answer can be used; return both."""
        for attempt in range(1, self.attempts + 1):
            try:
                answer = await self._send(request)
                return parse(answer), answer
            except _Stopped:
                raise
            except ClientError as error:
                if error.is_final or not error.is_temporary or attempt == self.attempts:
                    self._give_up(error)
                    raise
                await self._pause(attempt, error)
            except ExplanationError as error:
                self.usage.unusable += 1
                if attempt == self.attempts:
                    self.usage.failures += 1
                    if answer.answer_tokens < request.max_tokens:
                        raise
                    message = f"{error} (cut off after explain.client.max_tokens, {request.max_tokens})"
                    raise ExplanationError(message, error.raw) from None
                temperature = max(request.temperature, _RETRY_TEMPERATURE)
                request = replace(request, seed=(request.seed + _SEED_STEP) % 2**31, temperature=temperature)
                logger.debug("%s: %s; asking again", self.model, error)
            self.usage.retries += 1
        raise AssertionError("attempts is at least 1")

    async def _send(self, request: Request) -> Answer:
        """Send a request once, when there is a free slot and enough budget."""
        if not self.vision and any(isinstance(part, ImagePart) for one in request.messages for part in one.parts):
            raise ClientError(f"explain.client.model: {self.model} does not read images")
        shared = self._loop()
        async with shared.slots:
            while self.stopped is None and (pause := shared.not_before - shared.loop.time()) > 0:
                await self._sleep(pause)
            if self.stopped is not None:
                raise _Stopped(str(self.stopped), is_final=True)
            if self._budget is None or self._prices is None:
                return await self._complete(request, Bill(0.0))
            async with self._budget.reserve(most_cost(request, self._prices), shared.settled) as bill:
                return await self._complete(request, bill)

    async def _complete(self, request: Request, bill: Bill) -> Answer:
        """Let the backend send the request; count the answer, and set the bill to its cost."""
        self.usage.requests += 1
        try:
            answer = await asyncio.wait_for(self.backend.complete(request), self.timeout)
        except asyncio.TimeoutError:
            message = f"{self.model}: no answer within {self.timeout} s (explain.client.timeout)"
            failure = ClientError(message, is_temporary=True, may_cost=True)
        except ClientError as error:
            if not error.may_cost:
                bill.cost = 0.0
            raise
        else:
            bill.cost = self._count(answer)
            return answer
        raise failure  # outside the handler, so that the error holds no other one

    def _count(self, answer: Answer) -> float:
        """Count an answer, and return its cost."""
        self._failures_in_a_row = 0
        self.usage.prompt_tokens += answer.prompt_tokens
        self.usage.answer_tokens += answer.answer_tokens
        cost = answer.cost
        if cost is None and self._prices is not None:
            cost = self._prices.cost(answer.prompt_tokens, answer.answer_tokens)
        self.usage.unpriced += cost is None
        self.usage.cost += cost or 0.0
        return cost or 0.0

    def _give_up(self, error: ClientError) -> None:
        """Count a failed request; stop all others if none can succeed, or if too many failed in a row."""
        self.usage.failures += 1
        self._failures_in_a_row += 1
        if self.stopped is None and not error.is_final and self._failures_in_a_row >= _MOST_FAILURES_IN_A_ROW:
            message = f"{self._failures_in_a_row} requests in a row failed, the last one with: {error}"
            error = ClientError(message, is_final=True)
        if self.stopped is None and error.is_final:
            self.stopped = error
            logger.error("no further requests are sent: %s", error)
            self._loop().stopped.set()

    async def _pause(self, attempt: int, error: ClientError) -> None:
        """Wait before a retry; if the server asked for a pause, let all requests wait for it."""
        shared = self._loop()
        logger.debug("%s; attempt %d of %d", error, attempt + 1, self.attempts)
        if error.retry_after is not None:
            if error.retry_after > _LONGEST_WAIT:
                message = f"{error}; the server asks to wait {error.retry_after:,.0f} s: run again later"
                final = ClientError(message, is_final=True)
                self._give_up(final)
                raise final
            shared.not_before = max(shared.not_before, shared.loop.time() + error.retry_after)
            return
        pause = min(self._first_pause * 2 ** (attempt - 1), _LONGEST_PAUSE)
        await self._sleep(pause * random.uniform(0.5, 1.0))

    async def _sleep(self, seconds: float) -> None:
        """Sleep until the time is over or requests are stopped."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._loop().stopped.wait(), seconds)

    def _loop(self) -> _Loop:
        """Return the state that belongs to the running event loop."""
        loop = asyncio.get_running_loop()
        if self._last_loop is None or self._last_loop.loop is not loop:
            self._last_loop = _Loop(loop, asyncio.Semaphore(self.concurrency))
        return self._last_loop
