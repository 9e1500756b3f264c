"""Surprisal against a plain computation, on planted latents, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from saefari.interp.records import ExplanationError, LatentExamples, Score
from saefari.interp.scorers.presentation import explanation_text
from saefari.interp.scorers.surprisal import NEUTRAL, PREFIX, SurprisalScorer
from saefari.interp.text_likelihood import TextLikelihood

from .language import Plain, load_language_model, save_language_model
from .planted import EXPLANATION, WORD, latents, planted_examples


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return save_language_model(tmp_path_factory.mktemp("models") / f"tiny-{request.param}", request.param)


@pytest.fixture(scope="module")
def likelihood(folder: Path) -> TextLikelihood:
    return TextLikelihood(load_language_model(folder))


def score(likelihood: TextLikelihood, examples: LatentExamples) -> Score:
    return asyncio.run(SurprisalScorer(likelihood).score(examples, EXPLANATION))


def test_log_likelihoods_are_those_of_the_plain_model(folder: Path, likelihood: TextLikelihood) -> None:
    plain = Plain(folder)
    pairs = [
        ("Text :", f"the {WORD} walks"),
        ("A description of the text", "slowly"),
        ("Text :", ""),
        ("any", "tree house tree house unheard"),
    ]
    expected = [plain.log_likelihood(prefix, text) for prefix, text in pairs]
    np.testing.assert_allclose(likelihood.log_likelihoods(pairs), expected, rtol=1e-4, atol=1e-5)
    assert expected[2] == 0
    assert likelihood.log_likelihoods([]).shape == (0,)


def test_the_score_is_the_auroc_of_the_plain_gains(folder: Path, likelihood: TextLikelihood) -> None:
    plain = Plain(folder)
    examples = planted_examples(n_active=10, n_inactive=12)
    explanation = explanation_text(EXPLANATION)
    gains = [
        plain.log_likelihood(PREFIX.format(explanation), one.text)
        - plain.log_likelihood(PREFIX.format(NEUTRAL), one.text)
        for one in (*examples.test, *examples.inactive)
    ]
    found = score(likelihood, examples)
    assert found.value == pytest.approx(roc_auc_score([1] * 10 + [0] * 12, gains))
    assert found.details["mean_gain_active"] == pytest.approx(np.mean(gains[:10]), rel=1e-3)
    assert (found.n_active, found.n_inactive) == (10, 12)


class Knowing:
    """A likelihood that finds texts with the planted word more, or less, probable after its explanation."""

    def __init__(self, gain: float, noise: float = 0.1) -> None:
        self.gain = gain
        self.generator = np.random.default_rng(0)
        self.noise = noise
        self.asked: list[tuple[str, str]] = []

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        self.asked += pairs
        return np.array(
            [
                self.gain * (WORD in prefix and WORD in text) + self.generator.normal(-20, self.noise)
                for prefix, text in pairs
            ]
        )


@pytest.mark.parametrize(("gain", "low", "high"), [(5.0, 0.99, 1.0), (0.0, 0.4, 0.6), (-5.0, 0.0, 0.01)])
def test_oracle_guesser_and_adversary(gain: float, low: float, high: float) -> None:
    values = [score(Knowing(gain), one).value for one in latents(10)]  # type: ignore[arg-type]
    assert low <= np.mean(values) <= high


def test_the_neutral_likelihoods_are_computed_once() -> None:
    knowing = Knowing(1.0)
    scorer = SurprisalScorer(knowing)  # type: ignore[arg-type]
    examples = planted_examples(n_active=3, n_inactive=3)
    asyncio.run(scorer.score(examples, EXPLANATION))
    asyncio.run(scorer.score(examples, replace(EXPLANATION, name="tree", sentence="The tree.")))
    neutral = [text for prefix, text in knowing.asked if NEUTRAL in prefix]
    assert len(neutral) == len(set(neutral)) == 6
    assert len(knowing.asked) == 18


def test_a_text_that_is_too_long_is_refused(likelihood: TextLikelihood) -> None:
    limit = likelihood._language.text.tokenizer.limit
    with pytest.raises(ExplanationError, match=rf"at most {limit} tokens, and explanation and context have"):
        likelihood.log_likelihoods([("any text", "tree " * limit)])
