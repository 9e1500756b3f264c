"""A program that explains 20 latents, for tests that kill it: explain_program.py URL CACHE --concurrency N."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from saefari.interp.clients.answer_cache import AnswerCache
from saefari.interp.clients.ask import Client
from saefari.interp.clients.key import Key
from saefari.interp.clients.openai_endpoint import OpenAIEndpoint
from saefari.interp.explain_many import LatentResult, explain_latents
from tests.interp.endpoint import MODEL
from tests.interp.steps import Asking, Detecting, Local, examples_of


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("cache", type=Path)
    parser.add_argument("--concurrency", type=int)
    flags = parser.parse_args()
    backend = OpenAIEndpoint(MODEL, flags.url, Key(None))
    client = Client(backend, concurrency=flags.concurrency, cache=AnswerCache(flags.cache))

    def show(result: LatentResult) -> None:
        print(result.explanations[0].explanation.name, flush=True)

    latents = map(examples_of, range(20))
    try:
        explain_latents(latents, [Asking(client), Local()], [Detecting(client)], show, at_once=4, client=client)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)


if __name__ == "__main__":
    main()
