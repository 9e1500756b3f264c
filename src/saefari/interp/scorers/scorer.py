"""The protocol of a scorer."""

from __future__ import annotations

from typing import Protocol

from saefari.interp.records import Explanation, LatentExamples, Score


class Scorer(Protocol):
    """Measures how well an explanation fits a latent. name: as in conf.yaml. chance: value of an uninformative one."""

    name: str
    chance: float

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation on the test and inactive contexts. Raises ExplanationError if it cannot be scored."""
        ...
