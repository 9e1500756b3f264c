"""Estimate the requests, tokens and cost of explaining latents, before anything is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from saefari.config import Explain
from saefari.interp.clients.ask import Client
from saefari.interp.clients.build import prices_of
from saefari.interp.clients.client import Answer, Request
from saefari.interp.clients.cost import CostEstimate, StepEstimate, estimate_cost
from saefari.interp.event_loop import run_to_end
from saefari.interp.explainers.build import build_explainers
from saefari.interp.records import ExplanationError
from saefari.interp.scorers.build import build_scorers
from saefari.interp.scorers.estimate import estimate_scores, typical_examples

_ASKING_EXPLAINERS = ("prompted", "contrastive")
_ASKING_SCORERS = ("detection", "fuzzing", "intruder", "simulation")
_ANSWER_TOKENS, _REASONING_TOKENS = 80, 300
"""Expected tokens of an explanation, and of the reasoning before it."""


def estimate_requests(explain: Explain, n_latents: int, n_control: int) -> CostEstimate | None:
    """Return the estimate for a run; None if it asks no endpoint.

    n_latents: latents to explain, of all SAEs. n_control: latents of random SAEs. The prompts are those of the real
    explainers and scorers, for contexts of average length.
    """
    section = explain.client
    if section is None or section.kind == "local":
        return None
    backend = _Recorder(section.model)
    client = Client(backend, attempts=1, vision=True)
    steps = list(_explanations(explain, client, backend, n_latents + n_control))
    asking = explain.model_copy(update={"scorers": [name for name in explain.scorers if name in _ASKING_SCORERS]})
    n_explanations = (n_latents + n_control) * sum(name != "none" for name in explain.explainers)
    n_explanations += n_latents * ("shuffled" in explain.controls)
    steps += estimate_scores(build_scorers(asking, client=client), explain.sampling, n_explanations)
    return estimate_cost(steps, prices_of(section)) if any(step.requests for step in steps) else None


class _Recorder:
    """A backend that records requests and answers nothing that can be used."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.settings: Mapping[str, Any] = {}
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Answer:
        """Record a request."""
        self.requests.append(request)
        return Answer("", 0, 0)


def _explanations(explain: Explain, client: Client, backend: _Recorder, n_latents: int) -> Iterator[StepEstimate]:
    """Yield the estimate of each explainer that asks a language model."""
    names = [name for name in explain.explainers if name in _ASKING_EXPLAINERS]
    prompting = explain.prompting.model_copy(update={"promoted_tokens": False})  # ten words, which need the model
    asking = explain.model_copy(update={"explainers": names, "prompting": prompting})
    answer = _ANSWER_TOKENS + _REASONING_TOKENS * explain.prompting.chain_of_thought
    for explainer in build_explainers(asking, client=client):
        backend.requests.clear()
        with suppress(ExplanationError):  # no answer can be used
            run_to_end(_finished(explainer.explain(typical_examples(explain.sampling))))
        yield StepEstimate(explainer.name, n_latents * len(backend.requests), list(backend.requests), answer)


async def _finished(asking: Awaitable[Any]) -> Any:
    return await asking
