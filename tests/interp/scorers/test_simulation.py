"""Simulation: the correlation against SciPy, planted latents, and expected values against a plain computation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from saefari.interp.clients.client import Request
from saefari.interp.records import ExplanationError, LatentExamples, Score
from saefari.interp.scorers.simulation import AskingSimulator, SimulationScorer, Simulator
from saefari.interp.scorers.token_simulator import INTRODUCTION, TokenSimulator

from .language import Plain, load_language_model, save_language_model
from .planted import EXPLANATION, WORD, client_of, latents, planted_examples, shown_text


def score(simulator: Simulator, examples: LatentExamples | None = None) -> Score:
    return asyncio.run(SimulationScorer(simulator).score(examples or planted_examples(), EXPLANATION))


def shown_tokens(request: Request) -> list[str]:
    tokens: list[str] = json.loads(shown_text(request).split("Tokens: ")[1])
    return tokens


def answering(predict: Callable[[str], float]) -> AskingSimulator:
    return AskingSimulator(client_of(lambda request: json.dumps([predict(token) for token in shown_tokens(request)])))


def test_oracle_and_adversary() -> None:
    found = score(answering(lambda token: 8 if WORD in token else 0))
    assert found.value > 0.85
    assert found.interval is not None
    assert found.interval[0] > 0.7
    assert (found.n_active, found.n_inactive) == (10, 10)
    assert found.details == {"tokens": 240}
    assert score(answering(lambda token: 0 if WORD in token else 8)).value < -0.85


def test_random_predictions_score_about_0() -> None:
    generator = np.random.default_rng(0)
    values = [score(answering(lambda token: int(generator.integers(11))), one).value for one in latents(20)]
    assert np.mean(values) == pytest.approx(0, abs=0.05)


def test_predictions_by_position_do_not_help() -> None:
    async def first(self: object, explanation: str, tokens: Sequence[str]) -> Sequence[float]:
        return [10.0, *[0.0] * (len(tokens) - 1)]

    simulator = type("First", (), {"simulate": first})()
    values = [score(simulator, one).value for one in latents(20)]
    assert np.mean(values) == pytest.approx(0, abs=0.07)


def test_the_value_is_the_correlation_over_all_tokens_of_contexts_of_all_strengths() -> None:
    generator = np.random.default_rng(1)
    seen: list[tuple[tuple[str, ...], list[float]]] = []

    async def simulate(self: object, explanation: str, tokens: tuple[str, ...]) -> list[float]:
        seen.append((tokens, generator.uniform(0, 10, len(tokens)).tolist()))
        return seen[-1][1]

    examples = planted_examples()
    found = score(type("Random", (), {"simulate": simulate})(), examples)
    by_tokens = {one.tokens: one for one in (*examples.test, *examples.inactive)}
    true = np.concatenate([by_tokens[tokens].activations for tokens, _ in seen])
    predicted = np.concatenate([values for _, values in seen])
    assert found.value == pytest.approx(stats.pearsonr(predicted, true).statistic)
    decile_of = dict(zip([one.tokens for one in examples.test], examples.deciles.tolist(), strict=True))
    assert sorted(decile_of[tokens] for tokens, _ in seen if tokens in decile_of) == list(range(1, 11))


@pytest.mark.parametrize("answer", ["[1, 2]", "no idea", json.dumps([11] * 12), json.dumps([0] * 12)])
def test_unusable_or_constant_predictions_are_failures(answer: str) -> None:
    with pytest.raises(ExplanationError):
        score(AskingSimulator(client_of(lambda request: answer)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model(tmp_path_factory.mktemp("models") / "tiny-llama")


def test_expected_values_are_those_of_the_plain_model(folder: Path) -> None:
    plain = Plain(folder)
    simulator = TokenSimulator(load_language_model(folder))
    tokens = ("tree", f" {WORD}", " walks")
    ids = [1, *plain.ids(INTRODUCTION.format("any text"))]
    numbers = [plain.ids(str(number))[0] for number in range(10)]
    expected = []
    for token in tokens:
        ids += plain.ids(token)
        p = np.exp(plain.log_probabilities(ids)[-1, numbers])
        expected.append(float((p / p.sum()) @ np.arange(10)))
        ids += plain.ids("unknown")
    assert simulator.expected("any text", tokens) == pytest.approx(expected, rel=1e-4)
    assert np.ptp(expected) > 0.1


def test_a_local_model_scores_a_latent(folder: Path) -> None:
    simulator = TokenSimulator(load_language_model(folder))
    examples = planted_examples()
    found = score(simulator, examples)
    assert -1 <= found.value <= 1
    assert score(simulator, examples) == found


def test_a_tokenizer_without_numbers_is_refused(load_tiny_language: Callable[..., object]) -> None:
    with pytest.raises(ExplanationError, match="no tokens for the numbers 0 to 10"):
        TokenSimulator(load_tiny_language("llama"))  # type: ignore[arg-type]


def test_a_text_that_is_too_long_is_refused(folder: Path) -> None:
    with pytest.raises(ExplanationError, match="at most 256 tokens"):
        TokenSimulator(load_language_model(folder)).expected("any text", ["tree"] * 200)


def test_images_are_refused() -> None:
    examples = planted_examples()
    image: object = object()
    pictured = replace(examples, test=tuple(replace(one, image=image) for one in examples.test))  # type: ignore[arg-type]
    with pytest.raises(ExplanationError, match="simulation reads texts"):
        score(answering(lambda token: 0), pictured)
