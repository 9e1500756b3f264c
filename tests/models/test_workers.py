"""Work in other processes: order, bounded prefetching, and the end of the processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from multiprocessing import active_children

import pytest
import torch

from saefari.models.workers import AHEAD, in_workers

BOTH = pytest.mark.parametrize("n_workers", [0, 2])


def counted(n: int, drawn: list[int]) -> Iterator[tuple[str, int]]:
    """Yield tasks 0 to n - 1 and record them in `drawn`."""
    for i in range(n):
        drawn.append(i)
        yield f"ticket {i}", i


def square(number: int) -> torch.Tensor:
    if number == 0:
        torch.randn(300, 300) @ torch.randn(300, 300)  # the first task finishes late
    return torch.tensor([number, number**2])


def refuse_seven(number: int) -> int:
    if number == 7:
        raise ValueError("seven is not taken")
    return number


def where(_: int) -> tuple[int, int]:
    return os.getpid(), torch.get_num_threads()


@BOTH
def test_results_are_in_order_with_their_tickets(n_workers: int) -> None:
    found = [(ticket, result.tolist()) for ticket, result in in_workers(square, counted(40, []), n_workers)]
    assert found == [(f"ticket {i}", [i, i * i]) for i in range(40)]


@BOTH
def test_no_tasks(n_workers: int) -> None:
    assert list(in_workers(square, [], n_workers)) == []


@BOTH
def test_prefetching_is_bounded(n_workers: int) -> None:
    drawn: list[int] = []
    results = in_workers(square, counted(100, drawn), n_workers)
    for taken, _ in enumerate(results, start=1):
        assert len(drawn) <= taken + n_workers * AHEAD
        if taken == 10:
            assert len(drawn) >= taken + n_workers * AHEAD - 1
    assert len(drawn) == 100


def test_other_processes_work_with_one_thread_each() -> None:
    found = {result for _, result in in_workers(where, counted(40, []), 2)}
    assert len(found) == 2
    assert os.getpid() not in {process for process, _ in found}
    assert {threads for _, threads in found} == {1}


def test_zero_workers_run_in_this_process() -> None:
    assert {process for _, (process, _) in in_workers(where, counted(4, []), 0)} == {os.getpid()}


@BOTH
def test_processes_end_after_an_exception_in_the_work_that_is_kept(n_workers: int) -> None:
    results = in_workers(refuse_seven, counted(40, []), n_workers)
    assert [result for _, result in islice(results, 7)] == list(range(7))
    with pytest.raises(ValueError, match="seven is not taken") as raised:
        next(results)
    assert raised.value.__traceback__ is not None
    assert not active_children()


@BOTH
def test_an_exception_in_the_tasks_follows_earlier_results(n_workers: int) -> None:
    def tasks() -> Iterator[tuple[str, int]]:
        yield from counted(5, [])
        raise OSError("the dataset is gone")

    results = in_workers(square, tasks(), n_workers)
    assert [int(result[0]) for _, result in islice(results, 5)] == list(range(5))
    with pytest.raises(OSError, match="the dataset is gone") as raised:
        next(results)
    assert raised.value.__traceback__ is not None
    assert not active_children()


def test_the_processes_end_with_the_last_result() -> None:
    assert len(list(in_workers(square, counted(9, []), 2))) == 9
    assert not active_children()


def test_closing_ends_the_processes() -> None:
    results = in_workers(square, counted(1000, []), 2)
    next(results)
    assert len(active_children()) == 2
    results.close()
    assert not active_children()
