"""Requests per second that the client sends to an endpoint which answers after a fixed time, with and without a cache.

The endpoint runs in another process. Without any work of the client, concurrency / latency requests are possible.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from saefari.interp.clients.answer_cache import AnswerCache
from saefari.interp.clients.answers import binary_list
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Message, Request
from saefari.interp.clients.key import Key
from saefari.interp.clients.openai_endpoint import OpenAIEndpoint

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "word " * 2000
"""About as long as 40 contexts of 32 tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds until the endpoint answers")
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--requests", type=int, default=2000)
    flags = parser.parse_args()
    command = [sys.executable, "-m", "tests.interp.endpoint", "--latency", str(flags.latency)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        with tempfile.TemporaryDirectory() as folder:
            cache = AnswerCache(Path(folder))
            for name, used in (("no cache", None), ("cache, empty", cache), ("cache, full", cache)):
                start = time.process_time()
                rate = flags.requests / _seconds(url, used, flags.concurrency, flags.requests)
                work = (time.process_time() - start) / flags.requests * 1e3
                print(f"{name}: {rate:,.0f} requests/s, {work:.1f} ms of CPU per request")
        print(f"possible: {flags.concurrency / flags.latency:.0f} requests/s (concurrency / latency)")
    finally:
        server.terminate()


def _seconds(url: str, cache: AnswerCache | None, concurrency: int, n_requests: int) -> float:
    client = Client(OpenAIEndpoint("test-model", url, Key(None)), concurrency=concurrency, cache=cache)

    async def ask(number: int) -> list[bool]:
        request = Request((Message.of("user", f"{number}: {PROMPT}"),))
        return await client.ask(request, lambda answer: binary_list(answer.text, 2))

    async def run() -> float:
        await ask(-1)  # imports the SDK and opens a connection
        start = time.perf_counter()
        await asyncio.gather(*map(ask, range(n_requests)))
        seconds = time.perf_counter() - start
        await client.close()
        return seconds

    return asyncio.run(run())


if __name__ == "__main__":
    main()
