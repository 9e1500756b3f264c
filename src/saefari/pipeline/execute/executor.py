"""The executor: run jobs in this process, on several devices, or in worker processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from saefari.errors import SaefariError, explain_failure
from saefari.log import logger, start_logging
from saefari.pipeline.execute.jobs import Job

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome:
    """Outcome of a job. failure: None, or the reason, in one line for user errors."""

    title: str
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None


def available_cores() -> int:
    """Number of cores that this process may run on; a scheduler or container may restrict them."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_on_devices(jobs: Sequence[Job], devices: Sequence[str]) -> list[Outcome]:
    """Run jobs one after the other on one device, or in one process per device; a failure stops no other job.

    If a process dies, the unfinished jobs are failures.
    """
    if len(devices) == 1 or len(jobs) < 2:
        return [attempt(job.on(devices[0])) for job in jobs]
    context = multiprocessing.get_context("spawn")
    free = context.Queue()
    for device in devices:
        free.put(device)
    workers = min(len(devices), len(jobs))
    with ProcessPoolExecutor(workers, context, initializer=_take_device, initargs=(free, _level())) as pool:
        futures = [_submit(pool, _attempt_on_own_device, job) for job in jobs]
        return [_outcome(job, future) for job, future in zip(jobs, futures, strict=True)]


def run_in_processes(
    function: Callable[[T], Any], jobs: Sequence[T], workers: int, done: Callable[[T, Any], None]
) -> None:
    """Call `function` for every job in `workers` single-threaded processes, and `done(job, result)` in this one.

    The result of a job that raises is its exception. If a process dies, the lost jobs are tried once more, each in a
    process of its own; if that dies as well, the result is an error.
    """
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            done(job, _result_or_error(function, job))
        return
    lost: list[T] = []
    with _single_threaded():
        with _pool(min(workers, len(jobs))) as pool:
            futures = {_submit(pool, function, job): job for job in jobs}
            for future in as_completed(futures):
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(futures[future])
                else:
                    done(futures[future], _result(future))
        for job in lost:
            logger.warning("a worker process was killed: running its job again on its own")
            with _pool(1) as pool:
                done(job, _result(_submit(pool, function, job)))


def attempt(job: Job) -> Outcome:
    """Run a job; an exception becomes the failure of its outcome."""
    try:
        return Outcome(job.title, warnings=job.run())
    except Exception as error:
        return Outcome(job.title, failure=explain_failure(error))


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=start_logging, initargs=(_level(),)
    )


def _level() -> int:
    """Log level, for worker processes."""
    return logger.getEffectiveLevel()


def _submit(pool: ProcessPoolExecutor, function: Callable[[T], R], job: T) -> Future[R]:
    """Submit a job; if the pool is broken, return a failed future."""
    try:
        return pool.submit(function, job)
    except BrokenProcessPool as error:
        refused: Future[R] = Future()
        refused.set_exception(error)
        return refused


def _result(future: Future[R]) -> R | BaseException:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return SaefariError(
            "a worker process was killed, perhaps because memory ran out; run the same command again to resume"
        )
    return future.result() if error is None else error


def _outcome(job: Job, future: Future[Outcome]) -> Outcome:
    result = _result(future)
    return result if isinstance(result, Outcome) else Outcome(job.title, failure=explain_failure(result))


def _result_or_error(function: Callable[[T], Any], job: T) -> Any:
    try:
        return function(job)
    except Exception as error:
        return error


_own_device: str


def _take_device(free: Any, level: int) -> None:
    """Initialise a worker process: take one of the free devices."""
    global _own_device
    start_logging(level)
    _own_device = free.get()


def _attempt_on_own_device(job: Job) -> Outcome:
    return attempt(job.on(_own_device))


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Start processes in this block with one thread each, for speed and for results independent of the machine."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
