"""Scorers of one's own, as the README and docs/explanations.md show them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest

from saefari.interp.clients.answers import number_list
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Message, Request
from saefari.interp.explain_many import LatentResult, explain_latents
from saefari.interp.records import Explanation, LatentExamples, Score
from saefari.interp.scorers.scorer import Scorer
from saefari.interp.scorers.statistics import auroc, auroc_interval, share_interval

from .scorers.planted import EXPLANATION, WORD, client_of, latents, shown_text

README = Path(__file__).resolve().parents[2] / "README.md"


# docs/explanations.md: begin
class PairScorer:
    """Share of pairs of an active and an inactive context in which a language model finds the active one."""

    name = "pairs"
    chance = 0.5

    def __init__(self, client: Client) -> None:
        self._client = client

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        pairs = list(zip(examples.test, examples.inactive, strict=False))
        places = np.random.default_rng(examples.latent).integers(1, 3, len(pairs)).tolist()  # of the active one

        async def is_found(place: int, active: str, inactive: str) -> bool:
            first, second = (active, inactive) if place == 1 else (inactive, active)
            text = f"{explanation.sentence}\nText 1: {first}\nText 2: {second}\nWhich one fits? Answer [1] or [2]."
            request = Request((Message.of("user", text),))
            return place == await self._client.ask(request, lambda answer: number_list(answer.text, 1, 1, 2)[0])

        waiting = [is_found(place, one.text, other.text) for place, (one, other) in zip(places, pairs, strict=True)]
        found = sum(await asyncio.gather(*waiting))
        return Score(self.name, found / len(pairs), share_interval(found, len(pairs)), len(pairs), len(pairs))


# docs/explanations.md: end


class Known:
    """An explainer that knows the planted word."""

    name = "known"

    async def explain(self, examples: LatentExamples) -> Explanation:
        return EXPLANATION


def fitting(text: str) -> int:
    return 1 if WORD in text.split("Text 1: ")[1].split("Text 2: ")[0] else 2


@pytest.mark.parametrize(("says", "expected"), [("fitting", 1), ("other", 0), ("[1]", 0.5)])
def test_an_own_scorer_runs_like_any_other(says: str, expected: float) -> None:
    answers = {"fitting": lambda text: f"[{fitting(text)}]", "other": lambda text: f"[{3 - fitting(text)}]"}
    client = client_of(lambda request: answers.get(says, lambda text: says)(shown_text(request)))
    scorer: Scorer = PairScorer(client)
    results: list[LatentResult] = []
    explain_latents(latents(4), [Known()], [scorer], results.append, client=client)
    assert len(results) == 4
    assert not any(one.failures for one in results)
    values = [score.value for one in results for score in one.explanations[0].scores]
    assert np.mean(values) == pytest.approx(expected, abs=0.1)


def test_an_unusable_answer_becomes_a_failure_with_its_text() -> None:
    results: list[LatentResult] = []
    client = client_of(lambda request: "Both fit.")
    explain_latents(latents(1), [Known()], [PairScorer(client)], results.append, client=client)
    assert results[0].explanations[0].scores == ()
    assert [one.raw for one in results[0].failures] == ["Both fit."]


def test_the_scorer_in_the_readme_separates_planted_latents() -> None:
    (code,) = re.findall(r"```python\n(class OverlapScorer:.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = globals() | {"auroc": auroc, "auroc_interval": auroc_interval}
    exec(f"from __future__ import annotations\n{code}", names)
    results: list[LatentResult] = []
    explain_latents(latents(4), [Known()], [names["OverlapScorer"]()], results.append)
    assert not any(one.failures for one in results)
    values = [score.value for one in results for score in one.explanations[0].scores]
    assert values == [1.0] * 4


def test_the_example_is_short() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    shown = text.split("# docs/explanations.md: begin\n")[1].split("# docs/explanations.md: end")[0]
    lines = shown.strip().splitlines()
    assert len([line for line in lines if line.strip()]) <= 20
