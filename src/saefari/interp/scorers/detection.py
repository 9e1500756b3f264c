"""Detection: does a language model that reads the explanation tell active from inactive contexts?"""

from __future__ import annotations

from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Request
from saefari.interp.records import Explanation, LatentExamples, Score
from saefari.interp.scorers.asking import DEFAULTS
from saefari.interp.scorers.judgement import ANSWER_TOKENS, Item, judge, judge_requests, judgement_score
from saefari.interp.scorers.presentation import check_examples, context_parts, latent_generator, shuffled

_INSTRUCTIONS = (
    "You are given the description of a feature that occurs in some texts or images, and numbered examples. Decide for "
    "each example whether it contains the feature, judged by the description alone. Many, few or none of them may."
)


class DetectionScorer:
    """Detection score (Paulo et al. 2024, arXiv:2410.13928).

    The client reads the explanation and ten contexts per request, and says of each whether it contains what the
    explanation describes. The value is the AUROC of the probability of yes, active against inactive contexts, if the
    client gives log-probabilities, else the balanced accuracy (which is the AUROC of yes and no). Chance is 0.5.
    """

    name = "detection"
    chance = 0.5
    answer_tokens = ANSWER_TOKENS

    def __init__(self, client: Client, template: Request = DEFAULTS, seed: int = 0) -> None:
        """template: settings of the requests (max_tokens, temperature, top_logprobs). seed: order of the contexts."""
        self._client = client
        self._template = template
        self._seed = seed

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation. Raises ExplanationError or ClientError if one answer is missing or unusable."""
        items = self._items(examples)
        requests = judge_requests(self._template, _INSTRUCTIONS, explanation, items)
        return judgement_score(self.name, items, await judge(self._client, requests, items))

    def requests(self, examples: LatentExamples, explanation: Explanation) -> list[Request]:
        """Return the requests that `score` sends."""
        return judge_requests(self._template, _INSTRUCTIONS, explanation, self._items(examples))

    def _items(self, examples: LatentExamples) -> list[Item]:
        """Return active and inactive contexts in random order."""
        check_examples(examples)
        items = [
            Item(context_parts(context), True, int(decile))
            for context, decile in zip(examples.test, examples.deciles, strict=True)
        ]
        items += [Item(context_parts(context), False) for context in examples.inactive]
        return shuffled(items, latent_generator(self._seed, examples))
