"""Surprisal: does the explanation make active contexts more probable than inactive ones?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saefari.interp.records import Explanation, LatentExamples, Score
from saefari.interp.scorers.presentation import check_examples, explanation_text
from saefari.interp.scorers.separation import separation
from saefari.interp.serial import Serial
from saefari.interp.text_likelihood import TextLikelihood

PREFIX = "A description, and a text that it fits.\nDescription: {}\nText: "
NEUTRAL = "any text"
_KEPT = 100_000


class SurprisalScorer:
    """AUROC of log p(text | explanation) − log p(text | neutral), active against inactive contexts (Paulo et al. 2024,
    arXiv:2410.13928).

    A causal language model reads each context after the explanation and after a description that fits every text
    (`NEUTRAL`). The difference is the number of nats by which the explanation lowers its surprisal. Chance is 0.5.
    """

    name = "surprisal"
    chance = 0.5

    def __init__(self, likelihood: TextLikelihood, thread: Serial | None = None) -> None:
        """thread: shared by scorers that use the same model."""
        self._likelihood = likelihood
        self._thread = thread or Serial()
        self._neutral: dict[str, float] = {}

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation. Raises ExplanationError without contexts that are texts, or if they are too long."""
        check_examples(examples, texts_only=self.name)
        texts = [context.text for context in (*examples.test, *examples.inactive)]
        gains = await self._thread.run(self._gains, explanation_text(explanation), texts)
        n_active = len(examples.test)
        active, inactive = gains[:n_active], gains[n_active:]
        details = {"mean_gain_active": float(active.mean()), "mean_gain_inactive": float(inactive.mean())}
        return separation(self.name, active, inactive, examples.deciles, details)

    def _gains(self, explanation: str, texts: Sequence[str]) -> np.ndarray:
        """Return the gain of each text in nats, float64 [n_texts]."""
        explained = self._likelihood.log_likelihoods([(PREFIX.format(explanation), text) for text in texts])
        gains: np.ndarray = explained - self._neutral_likelihoods(texts)
        return gains

    def _neutral_likelihoods(self, texts: Sequence[str]) -> np.ndarray:
        """Return log p(text | neutral); known ones are not computed again for controls and other explanations."""
        if len(self._neutral) > _KEPT:
            self._neutral.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._neutral]
        found = self._likelihood.log_likelihoods([(PREFIX.format(NEUTRAL), text) for text in new])
        self._neutral.update(zip(new, found.tolist(), strict=True))
        return np.array([self._neutral[text] for text in texts])
