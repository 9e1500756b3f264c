"""Fuzzing: does a language model that reads the explanation tell right from wrong marks of active tokens?"""

from __future__ import annotations

import numpy as np

from saefari.interp.records import Context, LatentExamples
from saefari.interp.scorers.judgement import Item, JudgedScorer
from saefari.interp.scorers.presentation import check_examples, marked, shuffled

_INSTRUCTIONS = (
    "You are given the description of a feature that occurs in some texts, and numbered examples in which some words "
    "or parts of words are marked << like this >>. Decide for each example whether the marked parts are those that the "
    "description fits. There may be many, few or none that are marked rightly."
)


class FuzzingScorer(JudgedScorer):
    """Fuzzing score (Paulo et al. 2024, arXiv:2410.13928).

    The client reads the explanation and contexts with marked tokens, and says of each whether the marks are right. In
    every other active context, by strength, the active tokens are marked (right). The wrong ones are both ways of the
    paper: in the remaining active contexts as many random inactive tokens are marked (kind "active"); in inactive
    contexts tokens at the places where a random active context is active (kind "inactive"), so that neither number nor
    place of the marks reveals them.
    """

    name = "fuzzing"
    instructions = _INSTRUCTIONS

    def items(self, examples: LatentExamples, generator: np.random.Generator) -> list[Item]:
        """Return right and wrong marks in random order."""
        check_examples(examples, texts_only=self.name)
        return marked_items(examples, generator)


def marked_items(examples: LatentExamples, generator: np.random.Generator) -> list[Item]:
    """Return right and wrong marks in random order."""
    order = np.argsort(-examples.deciles, kind="stable")
    items = []
    for place, i in enumerate(order.tolist()):
        context = examples.test[i]
        marks = context.activations > 0
        if place % 2 == 0:
            items.append(Item((marked(context.tokens, marks),), True, int(examples.deciles[i])))
        elif not marks.all():
            items.append(Item((marked(context.tokens, _other_tokens(marks, generator)),), False, kind="active"))
    patterns = [context.activations > 0 for context in examples.test]
    for context in examples.inactive:
        marks = _moved(patterns[int(generator.integers(len(patterns)))], context)
        items.append(Item((marked(context.tokens, marks),), False, kind="inactive"))
    return shuffled(items, generator)


def _other_tokens(marks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mark as many inactive tokens at random as there are active ones, or all if there are fewer."""
    inactive = np.flatnonzero(~marks)
    chosen = generator.choice(inactive, min(int(marks.sum()), len(inactive)), replace=False)
    other = np.zeros_like(marks)
    other[chosen] = True
    return other


def _moved(pattern: np.ndarray, context: Context) -> np.ndarray:
    """Mark the tokens of a context at the relative places of another one's marks; at least one."""
    length = len(context.tokens)
    places = np.flatnonzero(pattern)
    if len(pattern) > length:
        places = np.unique(places * length // len(pattern))
    marks = np.zeros(length, dtype=bool)
    marks[places] = True
    return marks
