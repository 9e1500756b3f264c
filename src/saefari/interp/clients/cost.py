"""Tokens and dollars: estimates before requests are sent, and prices of those that were."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from saefari.interp.clients.client import ImagePart, Request

_BYTES_PER_TOKEN = 3.5
"""UTF-8 bytes per token; English prose has about 4.5, code and marked tokens about 3."""
_TOKENS_PER_MESSAGE = 8
"""Tokens that a chat template adds to a message."""
_IMAGE_TOKENS, _MOST_IMAGE_TOKENS = 300, 8_500
"""Tokens per image of at most 512 pixels: about 60 to 300 for most models; 8,500 for the model that counts most."""


@dataclass(frozen=True)
class Prices:
    """Dollars per million prompt tokens and per million answer tokens."""

    prompt: float
    answer: float

    def cost(self, prompt_tokens: float, answer_tokens: float) -> float:
        """Return the cost in dollars."""
        return (prompt_tokens * self.prompt + answer_tokens * self.answer) / 1e6


def estimated_prompt_tokens(request: Request) -> int:
    """Estimate the prompt tokens of a request from the length of its texts and the number of its images."""
    n_bytes, n_images = _size(request)
    return math.ceil(n_bytes / _BYTES_PER_TOKEN) + n_images * _IMAGE_TOKENS + _template_tokens(request)


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of a text from its length."""
    return math.ceil(len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)


def most_prompt_tokens(request: Request) -> int:
    """Return an upper bound: a token of a byte-level tokenizer holds at least one byte."""
    n_bytes, n_images = _size(request)
    return n_bytes + n_images * _MOST_IMAGE_TOKENS + _template_tokens(request)


def most_cost(request: Request, prices: Prices) -> float:
    """Return an upper bound of a request's cost in dollars."""
    return prices.cost(most_prompt_tokens(request), request.max_tokens)


@dataclass(frozen=True)
class StepEstimate:
    """What one explainer or scorer will send. step: as in failures, for example "score detection".

    requests: number. examples: some of them, as they will be sent. answer_tokens: expected per answer.
    """

    step: str
    requests: int
    examples: Sequence[Request]
    answer_tokens: int


@dataclass(frozen=True)
class CostEstimate:
    """Expected requests, tokens and cost in dollars (None without prices). Retries and cached answers do not count."""

    requests: int
    prompt_tokens: int
    answer_tokens: int
    cost: float | None

    def __str__(self) -> str:
        cost = "cost unknown (give price_in and price_out)" if self.cost is None else f"about ${self.cost:,.2f}"
        return (
            f"{self.requests:,} requests, about {self.prompt_tokens:,} prompt tokens and "
            f"{self.answer_tokens:,} answer tokens, {cost}"
        )


def estimate_cost(steps: Iterable[StepEstimate], prices: Prices | None) -> CostEstimate:
    """Estimate the sum of all steps; the prompts of a step are as long as the mean of its examples."""
    n_requests, n_prompt, n_answer = 0, 0.0, 0
    for step in steps:
        lengths = [estimated_prompt_tokens(request) for request in step.examples]
        if step.requests and not lengths:
            raise ValueError(f"{step.step}: without an example request its length is unknown")
        n_requests += step.requests
        n_prompt += step.requests * sum(lengths) / max(len(lengths), 1)
        n_answer += step.requests * step.answer_tokens
    cost = None if prices is None else prices.cost(n_prompt, n_answer)
    return CostEstimate(n_requests, round(n_prompt), n_answer, cost)


def _size(request: Request) -> tuple[int, int]:
    """Return the UTF-8 bytes of all texts and the number of images."""
    parts = [part for message in request.messages for part in message.parts]
    n_bytes = sum(len(part.encode("utf-8", "replace")) for part in parts if isinstance(part, str))
    return n_bytes, sum(isinstance(part, ImagePart) for part in parts)


def _template_tokens(request: Request) -> int:
    return _TOKENS_PER_MESSAGE * (len(request.messages) + 1)
