"""The executor: the only code that knows in which process a job runs."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from saefari.errors import SaefariError
from saefari.log import logger, start_logging
from saefari.pipeline.jobs import Job

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """How a job ended. failure: None, or why it failed, in one line where a user can mend it."""

    title: str
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None


def run_on_devices(jobs: Sequence[Job], devices: Sequence[str]) -> list[Outcome]:
    """Run jobs one after the other on one device, or one process per device; a failure stops no other job."""
    if len(devices) == 1 or len(jobs) < 2:
        return [attempt(job.on(devices[0])) for job in jobs]
    context = multiprocessing.get_context("spawn")
    free = context.Queue()
    for device in devices:
        free.put(device)
    workers = min(len(devices), len(jobs))
    with ProcessPoolExecutor(workers, context, initializer=_take_device, initargs=(free,)) as pool:
        return list(pool.map(_attempt_on_own_device, jobs))


def run_in_processes(
    function: Callable[[T], Any], jobs: Sequence[T], workers: int, done: Callable[[T, Any], None]
) -> None:
    """Call `function` for every job in `workers` processes with one thread each; `done(job, result)` here, as they end.

    A job that raises, or whose process dies, gives its exception as the result.
    """
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            done(job, _caught(function, job))
        return
    with _single_threaded():
        pool = ProcessPoolExecutor(
            min(workers, len(jobs)), multiprocessing.get_context("spawn"), initializer=start_logging
        )
        with pool:
            futures = {pool.submit(function, job): job for job in jobs}
            for future in as_completed(futures):
                error = future.exception()
                done(futures[future], error if error is not None else future.result())


def attempt(job: Job) -> Outcome:
    """Run a job; its exceptions become the outcome's failure."""
    try:
        return Outcome(job.title, warnings=job.run())
    except Exception as error:
        return Outcome(job.title, failure=explain_failure(error))


def explain_failure(error: BaseException) -> str:
    """Our own errors in their words; anything else with its type, and its traceback in the log at debug level."""
    if isinstance(error, SaefariError):
        return str(error)
    logger.debug("%s", "".join(traceback.format_exception(error)))
    return f"{type(error).__name__}: {error}"


def _caught(function: Callable[[T], Any], job: T) -> Any:
    try:
        return function(job)
    except Exception as error:
        return error


_own_device: str


def _take_device(free: Any) -> None:
    """Start of a worker process: the device that is its own from now on."""
    global _own_device
    start_logging()
    _own_device = free.get()


def _attempt_on_own_device(job: Job) -> Outcome:
    return attempt(job.on(_own_device))


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started in this block use one thread each, so that they neither fight nor differ by machine."""
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
