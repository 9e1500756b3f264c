"""Work on a batch's hidden states while the GPU computes the next batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

_MAX_PENDING = 2  # batches that may wait; bounds memory


@contextmanager
def background_calls(device: torch.device) -> Iterator[Callable[..., None]]:
    """Yield `call(function, *args)`, which runs functions in order.

    On a GPU they run in a separate thread, in parallel with the next forward pass; elsewhere immediately. Leaving the
    block waits for all of them and raises the first exception.
    """
    if device.type != "cuda":
        yield lambda function, *args: function(*args)
        return
    pending: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:

        def call(function: Callable[..., None], *args: Any) -> None:
            pending.append(pool.submit(function, *args))
            if len(pending) > _MAX_PENDING:
                pending.pop(0).result()

        yield call
        for future in pending:
            future.result()
