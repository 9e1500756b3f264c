"""Detection, fuzzing and intruder on planted latents: oracle, guesser, adversary, position, failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from saefari.interp.clients.client import ClientError, ImagePart, Request
from saefari.interp.records import ContextImage, ExplanationError, LatentExamples, Score
from saefari.interp.scorers.detection import DetectionScorer
from saefari.interp.scorers.fuzzing import FuzzingScorer
from saefari.interp.scorers.intruder import IntruderScorer
from saefari.interp.scorers.presentation import batches, explanation_text

from .planted import (
    EXPLANATION,
    WORD,
    Scripted,
    binary,
    client_of,
    guess,
    latents,
    planted_examples,
    shown_examples,
    shown_text,
    with_logprobs,
)

Make = Callable[[Any], Any]
MARKED = f"<<{WORD}>>"


def score(scorer: Any, examples: LatentExamples | None = None) -> Score:
    return asyncio.run(scorer.score(examples or planted_examples(), EXPLANATION))


def pick(judge: Callable[[str], bool]) -> Callable[[Request], str]:
    """Name the first example that the judge accepts, or else the first one."""

    def write(request: Request) -> str:
        fits = [judge(example) for example in shown_examples(request)]
        return f"[{fits.index(True) + 1 if True in fits else 1}]"

    return write


ORACLES: list[tuple[Make, Callable[[Request], str], Callable[[Request], str]]] = [
    (DetectionScorer, binary(lambda text: WORD in text), binary(lambda text: WORD not in text)),
    (FuzzingScorer, binary(lambda text: MARKED in text), binary(lambda text: MARKED not in text)),
    (IntruderScorer, pick(lambda text: WORD not in text), pick(lambda text: WORD in text)),
]


@pytest.mark.parametrize(("make", "oracle", "adversary"), ORACLES)
def test_an_oracle_scores_1_and_an_adversary_0(make: Make, oracle: Any, adversary: Any) -> None:
    found = score(make(client_of(oracle)))
    assert found.value == 1
    assert found.scorer == make.name
    assert found.interval is not None
    assert 0.6 < found.interval[0] < 1
    assert found.interval[1] == 1
    assert score(make(client_of(adversary))).value == 0


@pytest.mark.parametrize("make", [DetectionScorer, FuzzingScorer])
def test_guesses_score_about_a_half(make: Make) -> None:
    values = [score(make(client_of(binary(guess(i)))), one).value for i, one in enumerate(latents(20))]
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)
    intervals = [score(make(client_of(binary(guess(i)))), one).interval for i, one in enumerate(latents(20))]
    assert sum(interval is not None and interval[0] <= 0.5 <= interval[1] for interval in intervals) >= 17


def test_a_guessed_intruder_is_found_at_chance() -> None:
    generator = np.random.default_rng(0)
    values = [
        score(IntruderScorer(client_of(lambda request: f"[{generator.integers(1, 6)}]")), one).value
        for one in latents(20)
    ]
    assert np.mean(values) == pytest.approx(IntruderScorer.chance, abs=0.07)


@pytest.mark.parametrize("make", [DetectionScorer, FuzzingScorer])
@pytest.mark.parametrize(
    "by_position",
    [lambda i, n: i < n / 2, lambda i, n: i >= n / 2, lambda i, n: i % 2 == 0, lambda i, n: i == 0],
    ids=["first half", "second half", "every other", "first"],
)
def test_answers_by_position_do_not_help(make: Make, by_position: Callable[[int, int], bool]) -> None:
    def write(request: Request) -> str:
        n = len(shown_examples(request))
        return json.dumps([int(by_position(i, n)) for i in range(n)])

    values = [score(make(client_of(write)), one).value for one in latents(20)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_the_intruders_position_does_not_help(number: int) -> None:
    values = [score(IntruderScorer(client_of(lambda request: f"[{number}]")), one).value for one in latents(20)]
    assert np.mean(values) == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize("make", [DetectionScorer, FuzzingScorer, IntruderScorer])
def test_the_order_depends_on_seed_and_latent_and_not_on_the_explanation(make: Make) -> None:
    def sent(latent: int, seed: int, sentence: str) -> list[list[str]]:
        backend = Scripted(ORACLES[[DetectionScorer, FuzzingScorer, IntruderScorer].index(make)][1])
        client = client_of(lambda request: "")
        client.backend = backend
        explanation = replace(EXPLANATION, sentence=sentence)
        examples = replace(planted_examples(), latent=latent)
        asyncio.run(make(client, seed=seed).score(examples, explanation))
        return [shown_examples(request) for request in backend.requests]

    first = sent(3, 0, "One.")
    assert first == sent(3, 0, "Two.")
    assert first != sent(3, 1, "One.")
    assert first != sent(4, 0, "One.")


@pytest.mark.parametrize("make", [DetectionScorer, FuzzingScorer, IntruderScorer])
@pytest.mark.parametrize("answer", ["", "I cannot say.", "[1, 1]", "[2.5]", '{"answer": 1}', "[1, 0, maybe]"])
def test_an_unusable_answer_fails_and_is_no_score(make: Make, answer: str) -> None:
    client = client_of(lambda request: answer, attempts=2)
    with pytest.raises(ExplanationError) as caught:
        score(make(client))
    assert caught.value.raw == answer
    assert client.usage.failures >= 1


@pytest.mark.parametrize("make", [DetectionScorer, FuzzingScorer, IntruderScorer])
def test_one_failed_request_of_many_fails_the_score(make: Make) -> None:
    oracle = ORACLES[[DetectionScorer, FuzzingScorer, IntruderScorer].index(make)][1]
    count = 0

    def write(request: Request) -> str:
        nonlocal count
        count += 1
        if count == 3:
            raise ClientError("no credit", is_final=True)
        return oracle(request)

    with pytest.raises(ClientError, match="no credit"):
        score(make(client_of(write)))


@pytest.mark.parametrize("make", [DetectionScorer, FuzzingScorer, IntruderScorer])
@pytest.mark.parametrize("which", ["test", "inactive"])
def test_without_contexts_there_is_no_score(make: Make, which: str) -> None:
    lacking: dict[str, Any] = {which: ()}
    with pytest.raises(ExplanationError, match="needs active and inactive"):
        score(
            make(client_of(lambda request: "[1]")), replace(planted_examples(), **lacking, deciles=np.zeros(0, np.int8))
        )


def test_detection_shows_no_activations_and_counts_what_was_right() -> None:
    backend_client = client_of(binary(lambda text: WORD in text and "tree" not in text))
    found = score(DetectionScorer(backend_client))
    backend = backend_client.backend
    assert isinstance(backend, Scripted)
    texts = [example for request in backend.requests for example in shown_examples(request)]
    examples = planted_examples()
    assert sorted(texts) == sorted(json.dumps(one.text) for one in (*examples.test, *examples.inactive))
    assert all(EXPLANATION.sentence in shown_text(request) for request in backend.requests)
    hits = np.array(["tree" not in one.text for one in examples.test])
    assert found.details["true_positive_rate"] == pytest.approx(hits.mean())
    assert found.details["true_negative_rate"] == 1
    assert found.details["accuracy"] == pytest.approx((hits.sum() + 40) / 80)
    assert found.value == pytest.approx((hits.mean() + 1) / 2)
    per_decile = {str(d): hits[examples.deciles == d].mean() for d in range(1, 11)}
    assert found.details["true_positive_rate_per_decile"] == pytest.approx(per_decile)
    assert found.details["auroc_per_decile"] == pytest.approx({d: (rate + 1) / 2 for d, rate in per_decile.items()})
    assert (found.n_active, found.n_inactive) == (40, 40)
    assert not found.details["uses_log_probabilities"]
    json.dumps(found.details)


def test_with_log_probabilities_the_value_is_their_auroc() -> None:
    probabilities: dict[str, float] = {}
    generator = np.random.default_rng(5)

    def judge(text: str) -> float:
        return probabilities.setdefault(text, float(generator.uniform(0.3, 0.99) - 0.2 * (WORD not in text)))

    found = score(DetectionScorer(client_of(with_logprobs(judge)), Request((), top_logprobs=5)))
    truth = [WORD in text for text in probabilities]
    assert found.details["uses_log_probabilities"]
    assert found.value == pytest.approx(roc_auc_score(truth, list(probabilities.values())))
    said = np.array(list(probabilities.values())) > 0.5
    assert found.details["accuracy"] == pytest.approx((said == truth).mean())


def test_the_requests_have_the_templates_settings() -> None:
    client = client_of(binary(lambda text: WORD in text))
    score(DetectionScorer(client, Request((), max_tokens=77, temperature=0.3, top_logprobs=4)))
    assert isinstance(client.backend, Scripted)
    settings = {(one.max_tokens, one.temperature, one.top_logprobs) for one in client.backend.requests}
    assert settings == {(77, 0.3, 4)}


def test_batches_are_even() -> None:
    assert [len(one) for one in batches(list(range(21)), 10)] == [7, 7, 7]
    assert [list(one) for one in batches([1, 2, 3], 10)] == [[1, 2, 3]]


def test_the_text_of_an_explanation() -> None:
    assert explanation_text(EXPLANATION) == "river: The word river."
    assert explanation_text(replace(EXPLANATION, name="The word")) == "The word river."
    assert explanation_text(replace(EXPLANATION, sentence="")) == "river"


def test_images_are_sent_as_images_and_fuzzing_refuses_them() -> None:
    examples = planted_examples(n_active=4, n_inactive=4)
    image = ContextImage(b"png", (1, 1), np.zeros(12, np.int32))
    pictured = replace(
        examples,
        test=tuple(replace(one, image=image) for one in examples.test),
        inactive=tuple(replace(one, image=image) for one in examples.inactive),
    )
    client = client_of(lambda request: json.dumps([1] * 8))
    client.vision = True
    assert score(DetectionScorer(client), pictured).value == 0.5
    assert isinstance(client.backend, Scripted)
    assert client.backend.requests[0].messages[-1].parts.count(ImagePart(b"png")) == 8
    with pytest.raises(ExplanationError, match="fuzzing reads texts"):
        score(FuzzingScorer(client), pictured)


def test_the_intruder_needs_four_active_contexts() -> None:
    with pytest.raises(ExplanationError, match="needs 4 active contexts, there are 3"):
        score(IntruderScorer(client_of(lambda request: "[1]")), planted_examples(n_active=3))


def test_every_intruder_trial_has_one_inactive_context_and_none_is_shown_twice() -> None:
    client = client_of(pick(lambda text: WORD not in text))
    found = score(IntruderScorer(client), planted_examples(n_active=42))
    assert isinstance(client.backend, Scripted)
    shown = [shown_examples(request) for request in client.backend.requests]
    assert [sum(WORD not in text for text in trial) for trial in shown] == [1] * 10
    assert len({text for trial in shown for text in trial}) == 50
    assert found.details["trials"] == 10
    assert (found.n_active, found.n_inactive) == (40, 10)
