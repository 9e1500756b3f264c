"""Intruder detection: which of five contexts does the explanation not fit?"""

from __future__ import annotations

import numpy as np

from saefari.interp.clients.answers import number_list
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, Part, Request
from saefari.interp.records import Explanation, ExplanationError, LatentExamples, NotPossibleError, Score
from saefari.interp.scorers.asking import DEFAULTS, gather, question
from saefari.interp.scorers.presentation import check_examples, context_parts, explanation_text, latent_generator
from saefari.interp.scorers.statistics import share_interval

_SHOWN = 5
_INSTRUCTIONS = (
    "You are given the description of a feature, and numbered examples. All examples but one contain the feature. Find "
    "the one that does not. Answer with its number in square brackets, such as [2]. Write nothing else."
)


class IntruderScorer:
    """Share of intruders found.

    The client reads the explanation and five contexts per request: four active ones of similar strength and an inactive
    one, in random order; it names the one that does not belong. Each context is shown once. After Paulo and Belrose
    2025 (arXiv:2507.08473), who show no explanation and so measure the latent; with it, the difference to the shuffled
    control measures the explanation. Chance is 0.2.
    """

    name = "intruder"
    chance = 1 / _SHOWN
    answer_tokens = 5

    def __init__(self, client: Client, template: Request = DEFAULTS, seed: int = 0) -> None:
        """template: settings of the requests (max_tokens, temperature). seed: choice and order of the contexts."""
        self._client = client
        self._template = template
        self._seed = seed

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation. Raises ExplanationError or ClientError if one answer is missing or unusable."""
        places, requests = self._trials(examples, explanation)
        answers = await gather([self._client.ask(request, _index) for request in requests])
        found = np.array(answers) == places
        n_trials = len(places)
        return Score(
            self.name,
            float(found.mean()),
            share_interval(int(found.sum()), n_trials),
            n_trials * (_SHOWN - 1),
            n_trials,
            {"found": int(found.sum()), "trials": n_trials, "found_weakest_to_strongest": [bool(one) for one in found]},
        )

    def requests(self, examples: LatentExamples, explanation: Explanation) -> list[Request]:
        """Return the requests that `score` sends."""
        return self._trials(examples, explanation)[1]

    def _trials(self, examples: LatentExamples, explanation: Explanation) -> tuple[np.ndarray, list[Request]]:
        """Return the index of each trial's intruder, weakest contexts first, and the requests."""
        check_examples(examples)
        generator = latent_generator(self._seed, examples)
        by_strength = np.argsort(examples.deciles, kind="stable")
        n_trials = min(len(by_strength) // (_SHOWN - 1), len(examples.inactive))
        if n_trials == 0:
            raise NotPossibleError(
                f"latent {examples.latent}: the scorer intruder needs {_SHOWN - 1} active contexts, "
                f"there are {len(by_strength)}"
            )
        groups = np.array_split(by_strength, n_trials)
        intruders = generator.permutation(len(examples.inactive))[:n_trials]
        places = generator.integers(_SHOWN, size=n_trials)
        requests = []
        for group, intruder, place in zip(groups, intruders.tolist(), places.tolist(), strict=True):
            shown = [examples.test[i] for i in generator.permutation(group)[: _SHOWN - 1].tolist()]
            shown.insert(place, examples.inactive[intruder])
            parts: list[Part] = [f"Description: {explanation_text(explanation)}\n"]
            for number, context in enumerate(shown, 1):
                parts += [f"\nExample {number}: ", *context_parts(context)]
            requests.append(question(self._template, _INSTRUCTIONS, parts))
        return places, requests


def _index(answer: Answer) -> int:
    (number,) = number_list(answer.text, 1, 1, _SHOWN)
    if number != int(number):
        raise ExplanationError(f"unusable answer: {number:g} is not the number of an example", answer.text)
    return int(number) - 1
