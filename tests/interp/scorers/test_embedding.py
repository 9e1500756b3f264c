"""The embedding score: its definition, planted latents with the real embedder, oracle, guesser and adversary."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from saefari.interp.records import Explanation, ExplanationError, LatentExamples, Score
from saefari.interp.scorers.embedding import EmbeddingScorer
from saefari.interp.scorers.presentation import explanation_text
from saefari.interp.sentence_embedder import SentenceEmbedder

from .planted import EXPLANATION, WORD, latents, planted_examples


def score(embedder: object, examples: LatentExamples, explanation: Explanation = EXPLANATION) -> Score:
    return asyncio.run(EmbeddingScorer(embedder).score(examples, explanation))  # type: ignore[arg-type]


class Knowing:
    """An embedder in which the planted word has a direction of its own. sign: -1 turns texts away from it."""

    def __init__(self, sign: float, noise: float = 0.1) -> None:
        self.sign = sign
        self.noise = noise
        self.generator = np.random.default_rng(0)
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        rows = self.generator.normal(0, self.noise, (len(texts), 3))
        rows[:, 0] += 1
        rows[:, 1] += [WORD in text for text in texts]
        rows[1:, 1] *= self.sign  # the query is the first
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("sign", "low", "high"), [(1, 0.97, 1), (0, 0.4, 0.6), (-1, 0, 0.03)])
def test_oracle_guesser_and_adversary(sign: float, low: float, high: float) -> None:
    knowing = Knowing(sign, noise=0.15)
    values = [score(knowing, one).value for one in latents(10)]
    assert low <= np.mean(values) <= high


def test_documents_are_the_texts_of_the_contexts_and_hold_no_activations() -> None:
    examples = planted_examples()
    knowing = Knowing(1)
    score(knowing, examples)
    assert knowing.texts == [
        explanation_text(EXPLANATION),
        *(one.text for one in (*examples.test, *examples.inactive)),
    ]
    silent = replace(examples, test=tuple(replace(one, activations=one.activations * 7) for one in examples.test))
    assert score(Knowing(1), silent) == score(Knowing(1), examples)


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder.load(device="cpu")


def test_the_value_is_the_auroc_of_the_cosines(embedder: SentenceEmbedder) -> None:
    examples = planted_examples(n_active=20, n_inactive=15)
    found = score(embedder, examples)
    texts = [one.text for one in (*examples.test, *examples.inactive)]
    cosines = embedder.embed(texts) @ embedder.embed([explanation_text(EXPLANATION)])[0]
    assert found.value == pytest.approx(roc_auc_score([1] * 20 + [0] * 15, cosines))
    assert found.interval is not None
    assert found.interval[0] < found.value <= found.interval[1]
    assert (found.n_active, found.n_inactive) == (20, 15)
    expected = roc_auc_score(
        [1] * 2 + [0] * 15, np.append(cosines[examples.deciles.tolist().index(10) :][:2], cosines[20:])
    )
    assert found.details["auroc_per_decile"]["10"] == pytest.approx(expected)


def test_the_right_word_scores_high_and_another_one_at_chance(embedder: SentenceEmbedder) -> None:
    examples = planted_examples()
    assert score(embedder, examples).value > 0.95
    other = Explanation("seven", "The word seven.", "test")
    assert abs(score(embedder, examples, other).value - 0.5) < 0.25


def test_latents_are_scored_at_once_while_the_event_loop_runs(embedder: SentenceEmbedder) -> None:
    scorer = EmbeddingScorer(embedder)
    ticks = 0

    async def run() -> list[Score]:
        nonlocal ticks
        scoring = asyncio.gather(*(scorer.score(one, EXPLANATION) for one in latents(6)))
        while not scoring.done():
            await asyncio.sleep(0.001)
            ticks += 1
        return list(await scoring)

    found = asyncio.run(run())
    assert [one.value for one in found] == [score(embedder, one).value for one in latents(6)]
    assert ticks > 2


def test_images_and_empty_sets_are_refused(embedder: SentenceEmbedder) -> None:
    examples = planted_examples()
    pictured = replace(examples, inactive=tuple(replace(one, image=object()) for one in examples.inactive))  # type: ignore[arg-type]
    with pytest.raises(ExplanationError, match="embedding reads texts"):
        score(embedder, pictured)
    with pytest.raises(ExplanationError, match="needs active and inactive"):
        score(embedder, replace(examples, inactive=()))
