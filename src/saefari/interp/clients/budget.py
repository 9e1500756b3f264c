"""A limit on the cost of all requests together, checked before each is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from saefari.interp.clients.client import ClientError


@dataclass
class Bill:
    """What one request costs, in dollars; its upper bound until the answer is there."""

    cost: float


class Budget:
    """What was spent and what requests on their way may cost at most, in dollars."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.spent = 0.0
        self.in_flight = 0.0
        self.n_in_flight = 0

    @asynccontextmanager
    async def reserve(self, most: float, settled: asyncio.Condition) -> AsyncIterator[Bill]:
        """Reserve `most` dollars while a request is on its way; afterwards count the cost that its bill says.

        Waits while only the bounds of other requests stand in the way; `settled` is notified when one ends. Raises a
        final ClientError if the request could exceed the limit.
        """
        async with settled:
            await settled.wait_for(lambda: self.n_in_flight == 0 or self.spent + self.in_flight + most <= self.limit)
            if self.spent + self.in_flight + most > self.limit:
                raise ClientError(
                    f"explain.client.max_cost: ${self.limit:g} may not suffice for another request: ${self.spent:.4f} "
                    f"are spent, and it costs up to ${most:.4f}; raise it and run again (answers received are kept)",
                    is_final=True,
                )
            self.in_flight += most
            self.n_in_flight += 1
        bill = Bill(most)
        try:
            yield bill
        finally:
            async with settled:
                self.n_in_flight -= 1
                self.in_flight = self.in_flight - most if self.n_in_flight else 0.0  # without rounding errors
                self.spent += bill.cost
                settled.notify_all()
