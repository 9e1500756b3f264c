"""Simulation: can the activations be predicted from the explanation, token by token?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from saefari.interp.clients.answers import number_list
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Request
from saefari.interp.records import Context, Explanation, LatentExamples, NotPossibleError, Score
from saefari.interp.scorers.asking import DEFAULTS, gather, question
from saefari.interp.scorers.presentation import check_examples, explanation_text, latent_generator, shuffled, spread
from saefari.interp.scorers.statistics import grouped_pearson

_CONTEXTS = 10
"""Active, and as many inactive contexts: each costs a request with all its tokens."""
_INSTRUCTIONS = (
    "You are given the description of a feature of a neural network, and the tokens of a text as a JSON list. Predict "
    "for each token how strongly the feature is active there, from 0 (not at all; most tokens of most texts) to 10. "
    "Answer with a JSON list of {n} numbers, one per token in the same order. Write nothing else."
)


class Simulator(Protocol):
    """Predicts activations from an explanation."""

    async def simulate(self, explanation: str, tokens: Sequence[str]) -> Sequence[float]:
        """Return a number per token, on any scale. Raises ExplanationError if it cannot."""
        ...


class AskingSimulator:
    """Asks a client for the activations of all tokens of a text at once, as a list of numbers from 0 to 10."""

    def __init__(self, client: Client, template: Request = DEFAULTS) -> None:
        """template: settings of the requests (max_tokens, temperature)."""
        self._client = client
        self._template = template

    async def simulate(self, explanation: str, tokens: Sequence[str]) -> Sequence[float]:
        """Return a number from 0 to 10 per token."""
        n = len(tokens)
        return await self._client.ask(
            self.request(explanation, tokens), lambda answer: number_list(answer.text, n, 0, 10)
        )

    def request(self, explanation: str, tokens: Sequence[str]) -> Request:
        """Return the request for one text."""
        shown = f"Description: {explanation}\n\nTokens: {json.dumps(list(tokens), ensure_ascii=False)}"
        return question(self._template, _INSTRUCTIONS.format(n=len(tokens)), [shown])


class SimulationScorer:
    """Pearson's correlation of predicted and true activations over all tokens (Bills et al. 2023, "Language models can
    explain neurons in language models").

    Ten active contexts, one of each decile as far as there are any, and ten inactive ones are simulated. The interval
    resamples contexts, since the tokens of a context depend on each other. Chance is 0.
    """

    name = "simulation"
    chance = 0.0
    answer_tokens = 100
    """Expected tokens of an answer: three per token of a window of 32."""

    def __init__(self, simulator: Simulator, seed: int = 0) -> None:
        """seed: choice and order of the contexts, and the bootstrap."""
        self._simulator = simulator
        self._seed = seed

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation. Raises ExplanationError if a prediction failed or if all predictions are equal."""
        chosen = self._chosen(examples)
        text = explanation_text(explanation)
        predicted = await gather([self._simulator.simulate(text, context.tokens) for context in chosen])
        pairs = [(np.asarray(p, np.float64), c.activations) for p, c in zip(predicted, chosen, strict=True)]
        value, interval = grouped_pearson(pairs, self._seed)
        if value is None:
            raise NotPossibleError(
                f"latent {examples.latent}: all predicted activations are equal, so that they have no correlation"
            )
        n_tokens = sum(len(context.tokens) for context in chosen)
        n_active = sum(context.peak > 0 for context in chosen)
        return Score(self.name, value, interval, n_active, len(chosen) - n_active, {"tokens": n_tokens})

    def requests(self, examples: LatentExamples, explanation: Explanation) -> list[Request]:
        """Return the requests that `score` sends."""
        if not isinstance(self._simulator, AskingSimulator):
            return []
        text = explanation_text(explanation)
        return [self._simulator.request(text, context.tokens) for context in self._chosen(examples)]

    def _chosen(self, examples: LatentExamples) -> list[Context]:
        """Return the contexts to simulate, in random order."""
        check_examples(examples, texts_only=self.name)
        generator = latent_generator(self._seed, examples)
        active = spread(examples, _CONTEXTS, generator)
        inactive = shuffled(examples.inactive, generator)[:_CONTEXTS]
        return shuffled([*active, *inactive], generator)
