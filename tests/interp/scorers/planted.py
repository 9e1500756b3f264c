"""Latents that are active on one known word, and language models that know it, guess, or lie."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, AnswerToken, Request
from saefari.interp.records import Context, Explanation, LatentExamples

WORDS = ["tree", "house", "slowly", "green", "walks", "seven", "music", "under", "paper", "cold", "finds", "often"]
WORD = "river"
EXPLANATION = Explanation(WORD, f"The word {WORD}.", "test")


def planted_context(generator: np.random.Generator, row: int, is_active: bool, length: int = 12) -> Context:
    """Return a context of random words, in which the planted word, active, is at a random place."""
    words = generator.choice(WORDS, length).tolist()
    activations = np.zeros(length, np.float32)
    if is_active:
        place = int(generator.integers(length))
        words[place] = WORD
        activations[place] = generator.uniform(0.5, 5)
    return Context("test", row, 0, (words[0], *(f" {word}" for word in words[1:])), activations)


def planted_examples(latent: int = 3, n_active: int = 40, n_inactive: int = 40) -> LatentExamples:
    """Return examples of a latent that is active on WORD."""
    generator = np.random.default_rng(latent)
    test = sorted((planted_context(generator, i, True) for i in range(n_active)), key=lambda one: -one.peak)
    inactive = [planted_context(generator, n_active + i, False) for i in range(n_inactive)]
    deciles = 10 - np.arange(n_active) * 10 // max(n_active, 1)
    return LatentExamples(latent, (), tuple(test), deciles.astype(np.int8), tuple(inactive), density=0.01)


def shown_text(request: Request) -> str:
    """Return the user's message of a request."""
    return "".join(part for part in request.messages[-1].parts if isinstance(part, str))


def shown_examples(request: Request) -> list[str]:
    """Return the numbered examples of a request, as a client reads them."""
    return re.split(r"\nExample \d+: ", shown_text(request))[1:]


@dataclass
class Scripted:
    """A backend whose answers a function writes. requests: those it got."""

    write: Callable[[Request], str | Answer]
    model: str = "scripted"
    settings: dict[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    async def complete(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self.write(request)
        return answer if isinstance(answer, Answer) else Answer(answer, 10, 10)


def client_of(write: Callable[[Request], str | Answer], attempts: int = 1) -> Client:
    """Return a client of a scripted backend."""
    return Client(Scripted(write), attempts=attempts, first_pause=0.0)


def binary(judge: Callable[[str], bool]) -> Callable[[Request], str]:
    """Answer a list of yes and no, judging each example by its text."""
    return lambda request: json.dumps([int(judge(example)) for example in shown_examples(request)])


def with_logprobs(judge: Callable[[str], float]) -> Callable[[Request], Answer]:
    """Answer a list of yes and no with log-probabilities; judge: text -> probability of yes."""

    def write(request: Request) -> Answer:
        tokens: list[AnswerToken] = []
        for example in shown_examples(request):
            p = judge(example)
            top = {"1": math.log(p), "0": math.log(1 - p)}
            said = "1" if p > 0.5 else "0"
            tokens += [AnswerToken("," if tokens else "[", -0.01, {}), AnswerToken(f" {said}", top[said], top)]
        tokens.append(AnswerToken("]", -0.01, {}))
        return Answer("".join(token.text for token in tokens), 10, len(tokens), tuple(tokens))

    return write


def guess(seed: int) -> Callable[[str], bool]:
    """Return a judge that guesses at random."""
    generator = np.random.default_rng(seed)
    return lambda example: bool(generator.integers(2))


def latents(n: int) -> Sequence[LatentExamples]:
    """Return examples of n planted latents, with the same word in different contexts."""
    return [planted_examples(latent) for latent in range(n)]
