"""Work in other processes, so that the model does not wait for it: results come in order, a few are made ahead."""

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
"""Tasks that each process may be ahead of what was taken: bounds the memory of results that wait."""
MOST_WORKERS = 8


def default_workers() -> int:
    """A process per core that this process may use, up to `MOST_WORKERS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def in_workers(work: Callable[[P], R], tasks: Iterable[tuple[T, P]], n_workers: int) -> Generator[tuple[T, R]]:
    """(ticket, work(payload)) of every (ticket, payload), in order; tickets stay in this process.

    work and payloads must be picklable; tensors in results travel through shared memory. n_workers = 0: here.
    What `work` raises ends everything, with the traceback of the other process: let it return what may go wrong.
    The processes end with the last result, with whatever is raised, or when this is closed.
    """
    if n_workers == 0:
        yield from ((ticket, work(payload)) for ticket, payload in tasks)
        return
    # Tokenizers would warn that they were forked, and go on without their threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    payloads = _Payloads(tasks)
    loader: DataLoader[R] = DataLoader(
        _Work(work),
        sampler=payloads,
        batch_size=None,
        num_workers=n_workers,
        prefetch_factor=AHEAD,
        collate_fn=_as_it_is,
    )
    results: Any = iter(loader)
    try:
        for result in results:
            yield payloads.tickets.popleft(), result
    finally:
        # The loader ends its processes when nothing refers to it: an error that is kept would keep them too.
        results._shutdown_workers()
    if payloads.error is not None:
        raise payloads.error


class _Work(Dataset[Any]):
    """The work as a dataset whose indices are the payloads."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __getitem__(self, payload: Any) -> Any:
        return self._work(payload)


class _Payloads:
    """The payloads as a sampler, drawn as they are needed; their tickets are kept in the same order.

    What drawing one raises ends them, and is kept: in the loader it would come before results that are under way.
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


def _as_it_is(result: Any) -> Any:
    return result
