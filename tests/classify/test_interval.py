"""Coverage of the 95% interval of macro-F1, simulated from known confusion distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.classify.confusion import macro_f1
from saefari.classify.interval import macro_f1_interval


def confusion_distribution(n_classes: int, accuracy: float, skew: float, seed: int) -> np.ndarray:
    """Probabilities [K, K] of (true class, predicted class).

    accuracy: mean recall of the classes; skew: class k is drawn in proportion to k ** -skew.
    """
    generator = np.random.default_rng(seed)
    prior = np.arange(1.0, n_classes + 1) ** -skew
    cells = np.zeros((n_classes, n_classes))
    for k in range(n_classes):
        recall = np.clip(generator.normal(accuracy, 0.05), 0.05, 0.99)
        others = np.arange(n_classes) != k
        cells[k, others] = (1 - recall) * generator.dirichlet(np.full(n_classes - 1, 0.5))
        cells[k, k] = recall
    return cells * (prior / prior.sum())[:, None]


def coverage(distribution: np.ndarray, n_rows: int, n_samples: int) -> float:
    """Share of samples whose interval contains macro-F1 of the distribution."""
    target = macro_f1(distribution)
    generator = np.random.default_rng(1)
    held = 0
    for seed in range(n_samples):
        counts = generator.multinomial(n_rows, distribution.ravel()).reshape(distribution.shape)
        low, high = macro_f1_interval(counts, 100, seed)
        held += bool(low <= target <= high)
    return held / n_samples


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_classes", "n_rows", "accuracy", "skew"),
    [
        (2, 100, 0.8, 0),
        (2, 100, 0.95, 0),
        (2, 100, 0.5, 0),
        (2, 100, 0.8, 1.5),
        (6, 100, 0.8, 0),
        (6, 100, 0.8, 1),
        (6, 100, 0.95, 0),
        (2, 500, 0.8, 0),
        (6, 500, 0.8, 0),
        (6, 500, 0.95, 1),
        (2, 2000, 0.8, 0),
        (6, 2000, 0.8, 0),
        (77, 800, 0.85, 0),
        (77, 800, 0.95, 0),
        (77, 3000, 0.85, 0),
        (77, 3000, 0.9, 1),
    ],
)
def test_coverage_is_near_95_percent(n_classes: int, n_rows: int, accuracy: float, skew: float) -> None:
    """The standard error of the share is 0.5% for 2,000 samples and 0.8% for 700."""
    found = coverage(confusion_distribution(n_classes, accuracy, skew, 0), n_rows, 700 if n_classes > 10 else 2000)
    assert 0.93 <= found <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("n_classes", "n_rows", "accuracy", "skew"), [(77, 800, 0.5, 0), (20, 300, 0.7, 1)])
def test_coverage_is_lower_for_small_classes_with_many_errors(
    n_classes: int, n_rows: int, accuracy: float, skew: float
) -> None:
    """A known limit, about 92%: half of the rows wrong with ten rows a class, or classes of three rows."""
    assert 0.9 <= coverage(confusion_distribution(n_classes, accuracy, skew, 0), n_rows, 700) <= 0.97


@pytest.mark.parametrize(("n_classes", "n_rows", "n_samples"), [(2, 100, 500), (30, 300, 200)])
def test_coverage_with_few_samples(n_classes: int, n_rows: int, n_samples: int) -> None:
    """A percentile bootstrap covers the second target in less than 85% of samples."""
    assert 0.92 <= coverage(confusion_distribution(n_classes, 0.8, 0, 0), n_rows, n_samples) <= 0.98


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_the_interval_is_within_0_and_1_and_contains_the_estimate(n_classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 4, (n_classes, n_classes)) * (generator.random((n_classes, n_classes)) < 0.5)
    counts[0, 0] += 1
    low, high = macro_f1_interval(counts, 100, seed=0)
    assert 0 <= low <= macro_f1(counts) <= high <= 1
    assert (low, high) == macro_f1_interval(counts, 100, seed=0)
    if n_classes > 1 and (counts.sum(axis=1) > 0).sum() > 1:
        assert low < high


def test_the_interval_has_a_width_without_errors() -> None:
    low, high = macro_f1_interval(np.diag([50, 50]), 100, seed=0)
    assert high == 1
    assert 0.9 < low < 0.97  # of 100 rows without an error, at least 96.4% are right in the population


def test_the_standard_error_equals_that_of_resampled_rows() -> None:
    counts = (confusion_distribution(4, 0.7, 0, 0) * 2000).round().astype(int)
    low, high = macro_f1_interval(counts, 2000, seed=0)
    total = counts.sum()
    draws = np.random.default_rng(0).multinomial(total, counts.ravel() / total, size=4000).reshape(-1, 4, 4)
    assert high - low == pytest.approx(2 * 1.96 * macro_f1(draws).std(), rel=0.05)
