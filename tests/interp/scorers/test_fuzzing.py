"""Fuzzing: which tokens are marked, rightly and wrongly."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import numpy as np

from saefari.interp.scorers.fuzzing import FuzzingScorer, marked_items
from saefari.interp.scorers.presentation import marked

from .planted import EXPLANATION, WORD, binary, client_of, planted_examples

MARKED = f"<<{WORD}>>"


def test_fuzzing_marks_wrong_tokens_in_both_ways() -> None:
    examples = planted_examples()
    items = marked_items(examples, np.random.default_rng(0))
    right = [item for item in items if item.is_true]
    wrong = {kind: [item for item in items if item.kind == kind] for kind in ("active", "inactive")}
    assert (len(right), len(wrong["active"]), len(wrong["inactive"])) == (20, 20, 40)
    assert sorted(item.decile for item in right) == sorted(list(range(1, 11)) * 2)
    texts = [str(item.parts[0]) for item in items]
    assert all(text.count("<<") == 1 for text in texts)
    assert all(MARKED in str(item.parts[0]) for item in right)
    for kind, has_word in (("active", True), ("inactive", False)):
        for item in wrong[kind]:
            assert (WORD in str(item.parts[0])) == has_word
            assert MARKED not in str(item.parts[0])
    plain = [re.sub("<<|>>", "", text) for text in texts]
    assert sorted(plain) == sorted(one.text for one in (*examples.test, *examples.inactive))


def test_the_place_of_a_mark_does_not_reveal_inactive_contexts() -> None:
    """Centred windows have the activation in the middle; so have the marks of inactive contexts."""
    examples = planted_examples()
    activations = np.zeros(12, np.float32)
    activations[6] = 1
    centred = replace(examples, test=tuple(replace(one, activations=activations) for one in examples.test))
    items = marked_items(centred, np.random.default_rng(0))
    places = {str(item.parts[0]).split("<<")[0].count(" ") for item in items if item.kind == "inactive"}
    assert places == {6}


def test_fuzzing_details_hold_the_rate_of_each_kind() -> None:
    found = asyncio.run(
        FuzzingScorer(client_of(binary(lambda text: WORD in text))).score(planted_examples(), EXPLANATION)
    )
    assert found.details["true_negative_rate_per_kind"] == {"active": 0, "inactive": 1}


def test_marks_join_neighbours_and_leave_white_space_outside() -> None:
    tokens = ["The", " big", " ri", "ver", "\n", "runs"]
    assert marked(tokens, np.array([0, 1, 1, 1, 0, 1], bool)) == "The <<big river>>\n<<runs>>"
    assert marked(tokens, np.ones(6, bool)) == "<<The big river\nruns>>"
    assert marked(tokens, np.zeros(6, bool)) == "The big river\nruns"
