"""A local HTTP server with the OpenAI protocol, on real sockets, whose replies a test chooses.

As a program (`python endpoint.py --latency 0.2`) it prints its port and answers every request alike, for benchmarks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MODEL = "test-model"


@dataclass(frozen=True)
class Reply:
    """One reply. body: bytes as they are, text as HTML, anything else as JSON. drop: close without a reply."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


@dataclass(frozen=True)
class Received:
    """One request as the server read it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> Any:
        return self.body["messages"][-1]["content"]


def completion(text: str | None, usage: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    """A chat completion as servers send it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, **choice}],
        "usage": usage or {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }


def answer(text: str | None, **options: Any) -> Reply:
    return Reply(completion(text), **options)


def error(status: int, message: str = "no", code: str | int | None = None, **headers: str) -> Reply:
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


HANG = Reply(delay=3600.0)
DROP = Reply(drop=True)
Script = Callable[[Received], Reply]


class Endpoint:
    """The server, in a thread of its own, for the length of a `with` block.

    script: replies in order, the last one again and again; or a function of the request. seconds: delay of each reply.
    """

    def __init__(self, *script: Reply | Script, seconds: float = 0.0) -> None:
        self.script = list(script)
        self.seconds = seconds
        self.requests: list[Received] = []
        self.at_once = self.most_at_once = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Endpoint:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def start(self) -> asyncio.Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self._server

    async def _stop(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and reply; return whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Received(head[0].split()[1], headers, json.loads(body or b"{}"))
        self.requests.append(request)
        reply = self._reply(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(reply.delay + self.seconds)
        finally:
            self.at_once -= 1
        if reply.drop:
            writer.transport.abort()
            return False
        writer.write(_bytes(reply))
        await writer.drain()
        return True

    def _reply(self, request: Received) -> Reply:
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return step if isinstance(step, Reply) else step(request)


def _bytes(reply: Reply) -> bytes:
    is_raw = isinstance(reply.body, str | bytes)
    body = json.dumps(reply.body).encode() if not is_raw else reply.body
    body = body.encode() if isinstance(body, str) else body
    kind = "text/html" if isinstance(reply.body, str) else "application/json"
    headers = {"content-type": kind, "content-length": str(len(body)), **reply.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} Status\r\n{lines}\r\n".encode() + body


async def _run(latency: float) -> None:
    endpoint = Endpoint(answer("[1, 0]"), seconds=latency)
    server = await endpoint.start()
    print(endpoint.port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    asyncio.run(_run(parser.parse_args().latency))
