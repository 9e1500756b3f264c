"""Detection: does a language model that reads the explanation tell active from inactive contexts?"""

from __future__ import annotations

import numpy as np

from saefari.interp.records import LatentExamples
from saefari.interp.scorers.judgement import Item, JudgedScorer
from saefari.interp.scorers.presentation import check_examples, context_parts, shuffled

_INSTRUCTIONS = (
    "You are given the description of a feature that occurs in some texts or images, and numbered examples. Decide for "
    "each example whether it contains the feature, judged by the description alone. Many, few or none of them may."
)


class DetectionScorer(JudgedScorer):
    """Detection score (Paulo et al. 2024, arXiv:2410.13928).

    The client reads the explanation and the contexts, and says of each whether it contains what the explanation
    describes; active against inactive contexts.
    """

    name = "detection"
    instructions = _INSTRUCTIONS

    def items(self, examples: LatentExamples, generator: np.random.Generator) -> list[Item]:
        """Return active and inactive contexts in random order."""
        check_examples(examples)
        items = [
            Item(context_parts(context), True, int(decile))
            for context, decile in zip(examples.test, examples.deciles, strict=True)
        ]
        items += [Item(context_parts(context), False) for context in examples.inactive]
        return shuffled(items, generator)
