"""Estimates name the requests that scorers really send."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from saefari.config.explanation import Explain, Sampling
from saefari.interp.clients.client import Request
from saefari.interp.clients.cost import Prices, estimate_cost
from saefari.interp.scorers.build import build_scorers
from saefari.interp.scorers.estimate import estimate_scores, typical_examples
from saefari.interp.scorers.scorer import Scorer

from .planted import EXPLANATION, Scripted, client_of, planted_examples, shown_examples, shown_text

CLIENT = {"kind": "openai", "model": "big", "base_url": "https://example.org/v1"}


def write(request: Request) -> str:
    """Give a usable answer to any scorer."""
    instructions = str(request.messages[0].parts[0])
    if "square brackets" in instructions:
        return "[1]"
    if "Tokens: " in shown_text(request):
        n_tokens = len(json.loads(shown_text(request).split("Tokens: ")[1]))
        return json.dumps([place % 11 for place in range(n_tokens)])
    return json.dumps([1] * len(shown_examples(request)))


def scorers(*names: str) -> list[Scorer]:
    explain = Explain.model_validate({"scorers": names, "client": CLIENT})
    return build_scorers(explain, client=client_of(write), embedder=lambda: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("name", ["detection", "fuzzing", "intruder", "simulation"])
def test_the_requests_are_those_that_are_sent(name: str) -> None:
    scorer: Any
    (scorer,) = scorers(name)
    planned = scorer.requests(planted_examples(), EXPLANATION)
    asyncio.run(scorer.score(planted_examples(), EXPLANATION))
    client = scorer._simulator._client if name == "simulation" else scorer._client
    assert isinstance(client.backend, Scripted)
    assert client.backend.requests == planned
    assert len(planned) > 1


def test_an_estimate_counts_requests_of_the_wanted_size() -> None:
    sampling = Sampling(window=16, test=100, inactive=50)
    chosen = scorers("embedding", "detection", "fuzzing", "intruder", "simulation")
    steps = {one.step: one for one in estimate_scores(chosen, sampling, 7)}
    counts = {step: one.requests for step, one in steps.items()}
    assert counts == {
        "score detection": 7 * 15,
        "score fuzzing": 7 * 15,
        "score intruder": 7 * 25,
        "score simulation": 7 * 20,
    }
    cost = estimate_cost(steps.values(), Prices(1.0, 2.0))
    assert cost.requests == sum(counts.values())
    assert cost.cost is not None
    assert cost.cost > 0


def test_typical_examples_are_as_the_sampling_wants_them() -> None:
    found = typical_examples(Sampling(window=24, explain=3, test=20, inactive=5))
    assert (len(found.explain), len(found.test), len(found.inactive), len(found.explain_inactive)) == (3, 20, 5, 3)
    assert sorted(set(found.deciles.tolist())) == list(range(1, 11))
    assert all(len(one.tokens) == 24 for one in (*found.test, *found.inactive))
    assert [one.peak > 0 for one in (found.test[0], found.inactive[0])] == [True, False]
