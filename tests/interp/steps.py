"""Small explainers, scorers and examples for tests of the pipeline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from saefari.interp.clients.answers import binary_list, json_object
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, Message, Request
from saefari.interp.records import Context, Explanation, ExplanationError, LatentExamples, Score


def examples_of(latent: int) -> LatentExamples:
    context = Context("docs", latent, 0, (" the", f" word{latent}"), np.array([0, 1], np.float32))
    return LatentExamples(latent, (context,), (context,), np.array([10], np.int8), ())


class Local:
    """An explainer that asks nobody."""

    name = "local"

    def __init__(self, fails: Callable[[int], bool] = lambda latent: False) -> None:
        self.fails = fails

    async def explain(self, examples: LatentExamples) -> Explanation:
        if self.fails(examples.latent):
            raise ExplanationError("too few words", raw="the")
        return Explanation(f"word{examples.latent}", f"the word {examples.latent}", self.name)


class Asking:
    """An explainer that asks a model for a JSON object with a name."""

    name = "asking"

    def __init__(self, client: Client) -> None:
        self.client = client

    async def explain(self, examples: LatentExamples) -> Explanation:
        def parse(answer: Answer) -> Explanation:
            name = json_object(answer.text)["name"]
            return Explanation(name, f"texts with {name}", self.name, self.client.model)

        return await self.client.ask(_request(f"explain {examples.latent}: {examples.explain[0].text}"), parse)


class Detecting:
    """A scorer that asks a model for a list of two bits."""

    name = "detecting"
    chance = 0.5

    def __init__(self, client: Client) -> None:
        self.client = client

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        question = _request(f"score {examples.latent}: {explanation.name}")
        bits = await self.client.ask(question, lambda answer: binary_list(answer.text, 2))
        return Score(self.name, sum(bits) / 2, None, 1, 1)


def _request(text: str) -> Request:
    return Request((Message.of("user", text),))
