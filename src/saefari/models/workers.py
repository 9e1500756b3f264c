"""Run work in other processes, ahead of the consumer, with results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")

AHEAD = 4
"""Tasks that each process may prefetch; bounds the memory of waiting results."""
MAX_WORKERS = 8


def default_workers() -> int:
    """Return the number of cores this process may use, at most `MAX_WORKERS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_WORKERS)


def in_workers(work: Callable[[P], R], tasks: Iterable[tuple[T, P]], n_workers: int) -> Generator[tuple[T, R]]:
    """Yield (ticket, work(payload)) for every (ticket, payload), in order; tickets stay in this process.

    work and payloads must be picklable; tensors in results use shared memory. n_workers = 0: run in this process.
    An exception in `work` ends the iteration with the other process's traceback, so return expected errors instead.
    The processes end with the last result, on an exception, or when the generator is closed.
    """
    if n_workers == 0:
        yield from ((ticket, work(payload)) for ticket, payload in tasks)
        return
    # Otherwise tokenizers warn about forking and disable their threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    payloads = _Payloads(tasks)
    loader: DataLoader[R] = DataLoader(
        _Work(work),
        sampler=payloads,
        batch_size=None,
        num_workers=n_workers,
        prefetch_factor=AHEAD,
        collate_fn=_identity,
    )
    results: Any = iter(loader)
    try:
        for result in results:
            yield payloads.tickets.popleft(), result
    finally:
        # The loader ends its processes when it is garbage-collected, which a kept exception would delay.
        results._shutdown_workers()
    if payloads.error is not None:
        raise payloads.error


class _Work(Dataset[Any]):
    """A dataset whose indices are the payloads and whose items are the results."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __getitem__(self, payload: Any) -> Any:
        return self._work(payload)


class _Payloads:
    """A sampler that draws payloads on demand and keeps their tickets in the same order.

    An exception while drawing ends the sampler and is kept in `error`; raised in the loader, it would overtake pending
    results.
    """

    def __init__(self, tasks: Iterable[tuple[Any, Any]]) -> None:
        self._tasks = tasks
        self.tickets: deque[Any] = deque()
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for ticket, payload in self._tasks:
                self.tickets.append(ticket)
                yield payload
        except Exception as error:
            self.error = error


def _identity(result: Any) -> Any:
    return result
