"""Questions of scorers to a language model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

from saefari.interp.clients.client import Message, Part, Request

T = TypeVar("T")

DEFAULTS = Request(())
"""Settings of requests unless others are given."""


def question(template: Request, instructions: str, parts: Sequence[Part]) -> Request:
    """Return a request with the template's settings. parts: of the user's message."""
    messages = (Message.of("system", instructions), Message("user", tuple(parts)))
    return replace(template, messages=messages)


async def gather(waiting: Sequence[Awaitable[T]]) -> list[T]:
    """Return all results in order; if one fails, cancel the others and raise its error."""
    tasks = [asyncio.ensure_future(one) for one in waiting]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
