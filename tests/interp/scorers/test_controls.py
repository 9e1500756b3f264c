"""Shuffled explanations are derangements within density; summaries compare scores with their controls."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saefari.interp.scorers.controls import agreement, shuffled_assignment, summarise
from saefari.interp.scorers.statistics import mean


@given(st.lists(st.floats(0, 1), min_size=2, max_size=60), st.integers(0, 5))
def test_every_latent_gets_another_ones_explanation_of_similar_density(densities: list[float], seed: int) -> None:
    other = shuffled_assignment(densities, seed)
    assert sorted(other) == list(range(len(densities)))
    assert all(i != source for i, source in enumerate(other))
    rank = np.argsort(np.argsort(densities, kind="stable"))
    assert all(abs(rank[i] - rank[source]) < 20 for i, source in enumerate(other))


def test_latents_far_apart_in_density_do_not_exchange() -> None:
    densities = np.random.default_rng(0).permutation(200) / 200
    other = shuffled_assignment(densities.tolist(), 0)
    assert np.abs(densities - densities[other]).max() < 20 / 200


def test_the_seed_decides_who_exchanges() -> None:
    densities = np.linspace(0, 0.1, 50).tolist()
    assert shuffled_assignment(densities, 0) == shuffled_assignment(densities, 0) != shuffled_assignment(densities, 1)


def test_fewer_than_two_latents_have_no_control() -> None:
    assert shuffled_assignment([], 0) == shuffled_assignment([0.1], 0) == []


def test_a_summary_pairs_each_latent_with_its_control() -> None:
    generator = np.random.default_rng(0)
    scores = {latent: float(value) for latent, value in enumerate(generator.uniform(0.6, 1, 30))}
    control = {i: value - 0.2 - float(generator.normal(0, 0.01)) for i, value in scores.items() if i < 20}
    random = mean(generator.uniform(0.4, 0.6, 25))
    found = summarise(scores, {i: value**2 for i, value in scores.items()}, 0.5, control, random)
    expected = stats.ttest_rel([scores[i] for i in control], list(control.values())).confidence_interval()
    assert found.above_shuffled is not None
    assert found.above_shuffled.interval == pytest.approx((expected.low, expected.high))
    assert found.above_shuffled.n == 20
    assert found.score.value == pytest.approx(np.mean(list(scores.values())))
    assert found.above_random_sae is not None
    assert found.above_random_sae.value == pytest.approx(found.score.value - random.value)
    assert found.firing_rate.value == pytest.approx(1)
    assert found.is_above_controls
    record = json.loads(json.dumps(found.record()))
    assert record["mean"] == found.score.value
    assert record["shuffled"]["n"] == 20
    assert record["random_sae"] == random.record()


def test_scores_like_their_controls_are_not_above_them() -> None:
    generator = np.random.default_rng(1)
    scores = dict(enumerate(generator.uniform(0.4, 0.6, 30).tolist()))
    control = dict(enumerate(generator.uniform(0.4, 0.6, 30).tolist()))
    assert not summarise(scores, scores, 0.5, control).is_above_controls
    high = {latent: value + 0.3 for latent, value in scores.items()}
    assert summarise(high, scores, 0.5, control).is_above_controls
    assert not summarise(high, scores, 0.5, control, mean(list(high.values()))).is_above_controls


def test_a_summary_without_controls() -> None:
    found = summarise({1: 0.9}, {1: 0.1}, 0.5)
    assert not found.is_above_controls
    assert found.record() == {
        "chance": 0.5,
        "mean": 0.9,
        "interval": None,
        "n": 1,
        "is_above_controls": False,
        "firing_rate_spearman": None,
    }


def test_agreement_is_over_the_latents_that_both_scored() -> None:
    first = {1: 0.5, 2: 0.6, 3: 0.7, 4: 0.8}
    second = {2: 0.1, 3: 0.2, 4: 0.3, 5: 0.0}
    found = agreement({"embedding": first, "detection": second})
    assert list(found) == [("embedding", "detection")]
    assert found["embedding", "detection"].value == pytest.approx(1)
    assert found["embedding", "detection"].n == 3
