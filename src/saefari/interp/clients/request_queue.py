"""Requests to a model in this process: those that wait together are answered together, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from saefari.errors import explain_failure
from saefari.interp.clients.client import Answer, ClientError, Request

Outcome = Answer | ClientError


class RequestQueue:
    """Collects requests while the model answers earlier ones.

    answer_all: returns an answer or an error for each request, in order; called in one thread, never twice at once.
    """

    def __init__(self, answer_all: Callable[[Sequence[Request]], Sequence[Outcome]]) -> None:
        self._answer_all = answer_all
        self._waiting: list[tuple[Request, asyncio.Future[Outcome]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="language-model")

    async def complete(self, request: Request) -> Answer:
        """Return the answer to one request. Raises ClientError."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((request, future))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        outcome = await future
        if isinstance(outcome, ClientError):
            raise outcome
        return outcome

    async def _work(self) -> None:
        """Answer everything that waits, until nothing does."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # let the others that start now join the first batch
        while self._waiting:
            batch = [(request, future) for request, future in self._waiting if not future.done()]
            self._waiting.clear()
            requests = [request for request, _ in batch]
            try:
                outcomes = await loop.run_in_executor(self._thread, self._answer_all, requests)
            except Exception as error:  # the model cannot be loaded, or has not enough memory
                outcomes = [ClientError(explain_failure(error), is_final=True)] * len(batch)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
