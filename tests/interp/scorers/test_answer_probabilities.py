"""Probabilities of ones and zeros in an answer, whatever tokens they are part of."""

from __future__ import annotations

import numpy as np
import pytest

from saefari.interp.clients.client import Answer, AnswerToken
from saefari.interp.scorers.answer_probabilities import one_probabilities


@pytest.mark.parametrize(
    ("tokens", "values", "expected"),
    [
        (None, [True], None),
        ([("[", {}), ("1", {"0": -2.0}), ("]", {})], [True], [np.exp(-1) / (np.exp(-1) + np.exp(-2))]),
        ([("[1,", {" 0": -3.0, "zero": 0.0}), (" 0]", {})], [True, False], [np.exp(-1) / (np.exp(-1) + np.exp(-3)), 0]),
        ([("1", {}), (" of them: ", {}), ("[", {}), ("0", {}), ("]", {})], [False], [0]),
        ([("[yes]", {})], [True], None),
        ([("[1, 0]", {})], [True, False], None),
        ([("[0", {}), ("]", {})], [True], None),
    ],
)
def test_probabilities_of_the_values_of_an_answer(
    tokens: list[tuple[str, dict[str, float]]] | None, values: list[bool], expected: list[float] | None
) -> None:
    made = None if tokens is None else tuple(AnswerToken(text, -1.0, top) for text, top in tokens)
    found = one_probabilities(Answer("", 1, 1, made), values)
    assert found == (None if expected is None else pytest.approx(expected))
