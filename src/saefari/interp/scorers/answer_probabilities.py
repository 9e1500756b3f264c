"""The probabilities behind a list of ones and zeros, from the log-probabilities of the answer's tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from saefari.interp.clients.client import Answer, AnswerToken

_AROUND = " \t\r\n,[]\"'▁Ġ"
"""Characters that a tokenizer may join to a digit of a list."""


def one_probabilities(answer: Answer, values: Sequence[bool]) -> list[float] | None:
    """Return P(1) / (P(1) + P(0)) of each value of an answer's list, or None if it cannot be determined.

    values: the list as parsed. None if the answer has no log-probabilities, or if its last tokens that are 1 or 0 are
    not these values (the list uses words, or more than one value is in a token).
    """
    digits = [token for token in answer.tokens or () if _digit(token.text) is not None][-len(values) :]
    if len(digits) != len(values) or [_digit(token.text) == "1" for token in digits] != list(values):
        return None
    return [_one_probability(token) for token in digits]


def _one_probability(token: AnswerToken) -> float:
    alternatives: Mapping[str, float] = {token.text: token.logprob, **token.top}
    mass = {"0": 0.0, "1": 0.0}
    for text, logprob in alternatives.items():
        digit = _digit(text)
        if digit is not None:
            mass[digit] += math.exp(logprob)
    return mass["1"] / (mass["0"] + mass["1"])


def _digit(text: str) -> str | None:
    stripped = text.strip(_AROUND)
    return stripped if stripped in ("0", "1") else None
