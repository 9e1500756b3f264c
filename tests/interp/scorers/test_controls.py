"""Shuffled explanations are derangements within density; summaries compare scores with their controls."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saefari.interp.scorers.controls import agreement, shuffled, shuffled_latents, summarise

densities = st.dictionaries(st.integers(0, 5000), st.floats(0, 1), min_size=2, max_size=60)


@given(densities, st.integers(0, 5))
def test_every_latent_gets_another_ones_explanation_of_similar_density(found: dict[int, float], seed: int) -> None:
    other = shuffled_latents(found, seed)
    assert sorted(other) == sorted(other.values()) == sorted(found)
    assert all(latent != source for latent, source in other.items())
    rank = {latent: i for i, latent in enumerate(sorted(found, key=lambda one: (found[one], one)))}
    assert all(abs(rank[latent] - rank[source]) < 20 for latent, source in other.items())
    assert shuffled_latents(dict(reversed(found.items())), seed) == other


def test_the_seed_decides_who_exchanges() -> None:
    found = {latent: latent / 100 for latent in range(50)}
    assert shuffled_latents(found, 0) == shuffled_latents(found, 0) != shuffled_latents(found, 1)


def test_fewer_than_two_latents_have_no_control() -> None:
    assert shuffled_latents({}, 0) == shuffled_latents({3: 0.1}, 0) == {}
    assert shuffled({3: "river"}, {3: 0.1, 4: 0.2}, 0) == {}


def test_only_explained_latents_exchange() -> None:
    found = shuffled({1: "one", 2: "two"}, {1: 0.1, 2: 0.1, 3: 0.1}, 0)
    assert found == {1: "two", 2: "one"}


def test_a_summary_pairs_each_latent_with_its_control() -> None:
    generator = np.random.default_rng(0)
    scores = {latent: float(value) for latent, value in enumerate(generator.uniform(0.6, 1, 30))}
    control = {
        latent: value - 0.2 - float(generator.normal(0, 0.01)) for latent, value in scores.items() if latent < 20
    }
    random = generator.uniform(0.4, 0.6, 25).tolist()
    density = {latent: value**2 for latent, value in scores.items()}
    found = summarise("embedding", 0.5, scores, density, control, random)
    differences = [scores[latent] - control[latent] for latent in control]
    expected = stats.t.interval(0.95, 19, loc=np.mean(differences), scale=stats.sem(differences))
    assert found.above_shuffled is not None
    assert found.above_shuffled.interval == pytest.approx(expected)
    assert found.above_shuffled.n == 20
    assert found.score.value == pytest.approx(np.mean(list(scores.values())))
    assert found.above_random_sae is not None
    assert found.above_random_sae.value == pytest.approx(found.score.value - np.mean(random))
    assert found.firing_rate.value == pytest.approx(1)
    assert found.is_above_controls
    record = json.loads(json.dumps(found.record()))
    assert record["shuffled"]["n"] == 20
    assert record["random_sae"]["mean"] == pytest.approx(np.mean(random))


def test_scores_like_their_controls_are_not_above_them() -> None:
    generator = np.random.default_rng(1)
    scores = dict(enumerate(generator.uniform(0.4, 0.6, 30).tolist()))
    control = dict(enumerate(generator.uniform(0.4, 0.6, 30).tolist()))
    assert not summarise("embedding", 0.5, scores, scores, control).is_above_controls
    high = {latent: value + 0.3 for latent, value in scores.items()}
    assert summarise("embedding", 0.5, high, scores, control).is_above_controls
    assert not summarise("embedding", 0.5, high, scores, control, list(high.values())).is_above_controls


def test_a_summary_without_controls() -> None:
    found = summarise("detection", 0.5, {1: 0.9}, {1: 0.1})
    assert (found.shuffled, found.random_sae, found.above_shuffled, found.above_random_sae) == (None,) * 4
    assert not found.is_above_controls
    assert found.record()["score"] == {"mean": 0.9, "interval": None, "n": 1}


def test_agreement_is_over_the_latents_that_both_scored() -> None:
    first = {1: 0.5, 2: 0.6, 3: 0.7, 4: 0.8}
    second = {2: 0.1, 3: 0.2, 4: 0.3, 5: 0.0}
    found = agreement({"embedding": first, "detection": second})
    assert list(found) == [("embedding", "detection")]
    assert found["embedding", "detection"].value == pytest.approx(1)
    assert found["embedding", "detection"].n == 3
