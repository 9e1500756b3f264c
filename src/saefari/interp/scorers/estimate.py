"""What scorers will ask a language model, before any context is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from saefari.config.explanation import Sampling
from saefari.interp.clients.client import Request
from saefari.interp.clients.cost import StepEstimate
from saefari.interp.records import Context, Explanation, LatentExamples
from saefari.interp.scorers.scorer import Scorer

_WORDS = (" the", " value", " of", " array", "s", ",", " return", "ed")
"""Tokens of average length."""
_EXPLANATION = Explanation(
    "the word value", "The word *value* (*values*) and also the word *array*; mostly in NumPy.", ""
)


@runtime_checkable
class Asking(Protocol):
    """A scorer that asks a client. answer_tokens: expected per answer."""

    answer_tokens: int

    def requests(self, examples: LatentExamples, explanation: Explanation) -> list[Request]:
        """Return the requests that `score` sends."""
        ...


def estimate_scores(scorers: Sequence[Scorer], sampling: Sampling, n_explanations: int) -> list[StepEstimate]:
    """Estimate the requests of each scorer that asks a client, for contexts of average length.

    n_explanations: scored with each scorer; with the control `shuffled` each latent counts twice.
    """
    examples = typical_examples(sampling)
    steps = []
    for scorer in scorers:
        if isinstance(scorer, Asking) and (requests := scorer.requests(examples, _EXPLANATION)):
            n_requests = len(requests) * n_explanations
            steps.append(StepEstimate(f"score {scorer.name}", n_requests, requests, scorer.answer_tokens))
    return steps


def typical_examples(sampling: Sampling) -> LatentExamples:
    """Return examples as `sampling` wants them, of tokens of average length; for estimates only."""
    tokens = tuple(_WORDS[i % len(_WORDS)] for i in range(sampling.window))
    activations = np.zeros(sampling.window, np.float32)
    inactive = Context("typical", 0, 0, tokens, activations)
    active = Context(
        "typical", 0, 0, tokens, np.where(np.arange(sampling.window) == sampling.window // 2, 1, activations)
    )
    return LatentExamples(
        latent=0,
        explain=(active,) * sampling.explain,
        test=(active,) * sampling.test,
        deciles=(np.arange(sampling.test) * 10 // sampling.test + 1).astype(np.int8),
        inactive=(inactive,) * sampling.inactive,
        explain_inactive=(inactive,) * sampling.explain,
    )
