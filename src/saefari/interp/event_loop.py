"""Run asynchronous work from ordinary code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and return its result; in a thread if an event loop is running already, as in notebooks.

    Raises KeyboardInterrupt if the user interrupts it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_interruptible(work))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Await the work, and then once more: an interruption is delivered at the next await, or else lost."""
    result = await work
    await asyncio.sleep(0)
    return result
