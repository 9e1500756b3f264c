"""Work in other processes, so that the model does not wait for it: results come in order, a few are made ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
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


def in_workers(work: Callable[[P], R], tasks: Iterable[tuple[T, P]], n_workers: int) -> Iterator[tuple[T, R]]:
    """(ticket, work(payload)) of every (ticket, payload), in order; tickets stay in this process.

    work and payloads must be picklable; tensors in results travel through shared memory. n_workers = 0: here.
    What `work` raises ends everything, with the traceback of the other process: let it return what may go wrong.
    """
    if n_workers == 0:
        yield from ((ticket, work(payload)) for ticket, payload in tasks)
        return
    # Tokenizers would warn that they were forked, and go on without their threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tickets: deque[T] = deque()
    loader: DataLoader[R] = DataLoader(
        _Work(work),
        sampler=_Payloads(tasks, tickets),
        batch_size=None,
        num_workers=n_workers,
        prefetch_factor=AHEAD,
        collate_fn=_as_it_is,
    )
    for result in loader:
        yield tickets.popleft(), result


class _Work(Dataset[Any]):
    """The work as a dataset whose indices are the payloads."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __getitem__(self, payload: Any) -> Any:
        return self._work(payload)


class _Payloads:
    """The payloads as a sampler, drawn as they are needed; their tickets are kept in the same order."""

    def __init__(self, tasks: Iterable[tuple[Any, Any]], tickets: deque[Any]) -> None:
        self._tasks = tasks
        self._tickets = tickets

    def __iter__(self) -> Iterator[Any]:
        for ticket, payload in self._tasks:
            self._tickets.append(ticket)
            yield payload


def _as_it_is(result: Any) -> Any:
    return result
