"""A language model's yes or no to many contexts, several per request, as a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from saefari.interp.clients.answers import binary_list
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, Part, Request
from saefari.interp.records import Explanation, LatentExamples, Score
from saefari.interp.scorers.answer_probabilities import one_probabilities
from saefari.interp.scorers.asking import DEFAULTS, gather, question
from saefari.interp.scorers.presentation import batches, explanation_text, latent_generator
from saefari.interp.scorers.separation import separation

ANSWER_TOKENS = 30
"""Expected tokens of an answer: three per context."""
_PER_REQUEST = 10
_FORMAT = (
    "Answer with a JSON list of {n} values, one per example in the same order: 1 for yes, 0 for no. For three examples "
    "the answer might be [0, 1, 0]. Write nothing else."
)


@dataclass(frozen=True)
class Item:
    """A context to be judged. parts: what is shown. is_true: the right answer. decile: 0 where the latent is inactive.

    kind: group of wrong items, for details.
    """

    parts: tuple[Part, ...]
    is_true: bool
    decile: int = 0
    kind: str = ""


@dataclass(frozen=True)
class Judgement:
    """What a client said of some items. values: bool. probabilities: of yes, None without log-probabilities."""

    values: list[bool]
    probabilities: list[float] | None


class JudgedScorer(ABC):
    """A scorer that shows ten items per request to a client, which says yes or no to each; subclasses choose the items.

    The value is the AUROC of the probability of yes, true against other items, if the client gives log-probabilities,
    else the balanced accuracy (which is the AUROC of yes and no). Chance is 0.5.
    """

    name: str
    instructions: str
    chance = 0.5
    answer_tokens = ANSWER_TOKENS

    def __init__(self, client: Client, template: Request = DEFAULTS, seed: int = 0) -> None:
        """template: settings of requests (max_tokens, temperature, top_logprobs). seed: order and choice of items."""
        self._client = client
        self._template = template
        self._seed = seed

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation. Raises ExplanationError or ClientError if one answer is missing or unusable."""
        items = self.items(examples, latent_generator(self._seed, examples))
        requests = judge_requests(self._template, self.instructions, explanation, items)
        return judgement_score(self.name, items, await judge(self._client, requests, items))

    def requests(self, examples: LatentExamples, explanation: Explanation) -> list[Request]:
        """Return the requests that `score` sends."""
        items = self.items(examples, latent_generator(self._seed, examples))
        return judge_requests(self._template, self.instructions, explanation, items)

    @abstractmethod
    def items(self, examples: LatentExamples, generator: np.random.Generator) -> list[Item]:
        """Return the items in random order. Raises ExplanationError if there are none."""


def judge_requests(
    template: Request, instructions: str, explanation: Explanation, items: Sequence[Item]
) -> list[Request]:
    """Return the requests that ask for all items, in the given order."""
    requests = []
    for batch in batches(items, _PER_REQUEST):
        shown: list[Part] = [f"Description: {explanation_text(explanation)}\n"]
        for number, item in enumerate(batch, 1):
            shown += [f"\nExample {number}: ", *item.parts]
        requests.append(question(template, f"{instructions}\n{_FORMAT.format(n=len(batch))}", shown))
    return requests


async def judge(client: Client, requests: Sequence[Request], items: Sequence[Item]) -> Judgement:
    """Send the requests of `judge_requests`. Raises ExplanationError or ClientError if one fails."""
    sizes = [len(batch) for batch in batches(items, _PER_REQUEST)]
    asked = zip(requests, sizes, strict=True)
    found = await gather([client.ask(request, partial(_parse, n=size)) for request, size in asked])
    values = [value for one in found for value in one.values]
    if any(one.probabilities is None for one in found):
        return Judgement(values, None)
    return Judgement(values, [p for one in found for p in one.probabilities or ()])


def _parse(answer: Answer, n: int) -> Judgement:
    values = binary_list(answer.text, n)
    return Judgement(values, one_probabilities(answer, values))


def judgement_score(scorer: str, items: Sequence[Item], judgement: Judgement) -> Score:
    """Return the AUROC of the probabilities of yes, or without them the balanced accuracy, with details.

    details: accuracy, true positive and true negative rate of the yes and no, per decile the true positive rate, and
    per kind of wrong item the true negative rate.
    """
    truth = np.array([item.is_true for item in items])
    said = np.array(judgement.values)
    scores = said.astype(float) if judgement.probabilities is None else np.array(judgement.probabilities)
    deciles = np.array([item.decile for item in items])
    kinds = np.array([item.kind for item in items])
    details: dict[str, Any] = {
        "accuracy": float((said == truth).mean()),
        "true_positive_rate": float(said[truth].mean()),
        "true_negative_rate": float((~said[~truth]).mean()),
        "true_positive_rate_per_decile": {
            str(decile): float(said[deciles == decile].mean()) for decile in sorted(set(deciles[truth].tolist()))
        },
        "uses_log_probabilities": judgement.probabilities is not None,
    }
    wrong_kinds = sorted(set(kinds[~truth].tolist()) - {""})
    if wrong_kinds:
        details["true_negative_rate_per_kind"] = {
            kind: float((~said[~truth & (kinds == kind)]).mean()) for kind in wrong_kinds
        }
    return separation(scorer, scores[truth], scores[~truth], deciles[truth], details)
