"""Asynchronous work from ordinary code."""

from __future__ import annotations

import asyncio

from saefari.interp.event_loop import run_to_end


def test_the_result_is_returned() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert run_to_end(work()) == 7


def test_it_runs_inside_a_running_loop() -> None:
    async def work() -> int:
        return 7

    async def cell() -> int:
        return run_to_end(work())

    assert asyncio.run(cell()) == 7
