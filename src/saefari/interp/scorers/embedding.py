"""Embedding score: are active contexts closer to the explanation than inactive ones?"""

from __future__ import annotations

import numpy as np

from saefari.interp.records import Explanation, LatentExamples, Score
from saefari.interp.scorers.presentation import check_examples, explanation_text
from saefari.interp.scorers.separation import separation
from saefari.interp.sentence_embedder import SentenceEmbedder
from saefari.interp.serial import Serial


class EmbeddingScorer:
    """AUROC of the cosine of explanation and context, active against inactive contexts (Paulo et al. 2024,
    arXiv:2410.13928).

    The explanation (name and sentence) is the query, the text of each context a document; activations are not used.
    Chance is 0.5. Needs no language model that answers.
    """

    name = "embedding"
    chance = 0.5

    def __init__(self, embedder: SentenceEmbedder) -> None:
        self._embedder = embedder
        self._thread = Serial()

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation. Raises ExplanationError without active and inactive contexts that are texts."""
        check_examples(examples, texts_only=self.name)
        texts = [context.text for context in (*examples.test, *examples.inactive)]
        cosines = await self._thread.run(self._cosines, explanation_text(explanation), texts)
        n_active = len(examples.test)
        return separation(self.name, cosines[:n_active], cosines[n_active:], examples.deciles)

    def _cosines(self, query: str, documents: list[str]) -> np.ndarray:
        embeddings = self._embedder.embed([query, *documents])
        found: np.ndarray = embeddings[1:] @ embeddings[0]
        return found
