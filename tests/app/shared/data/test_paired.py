"""The paired difference of two results."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from app.shared.data.paired import bootstrap_difference


def draw(n: int, errors: float, generator: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Predictions that are wrong in this share of rows."""
    wrong = generator.random(n) < errors
    return np.where(wrong, generator.integers(0, 4, n), labels)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, 600)


def test_the_difference_is_that_of_scikit_learns_macro_f1(labels: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    first, second = draw(600, 0.3, generator, labels), draw(600, 0.6, generator, labels)
    found = bootstrap_difference(labels, first, second, 4)
    wanted = f1_score(labels, first, average="macro") - f1_score(labels, second, average="macro")
    assert found.value == pytest.approx(wanted, abs=1e-6)
    assert found.low < found.value < found.high
    assert found.verdict == "better"
    turned = bootstrap_difference(labels, second, first, 4)
    assert (turned.value, turned.verdict) == (pytest.approx(-wanted, abs=1e-6), "worse")


def test_the_interval_is_that_of_resampled_rows(labels: np.ndarray) -> None:
    generator = np.random.default_rng(2)
    first, second = draw(600, 0.3, generator, labels), draw(600, 0.35, generator, labels)
    found = bootstrap_difference(labels, first, second, 4)
    differences = []
    for _ in range(1000):
        rows = generator.integers(0, 600, 600)
        pair = (f1_score(labels[rows], one[rows], average="macro") for one in (first, second))
        differences.append(next(pair) - next(pair))
    np.testing.assert_allclose([found.low, found.high], np.percentile(differences, [2.5, 97.5]), atol=0.01)


def test_equal_predictions_are_not_different(labels: np.ndarray) -> None:
    predicted = draw(600, 0.3, np.random.default_rng(3), labels)
    found = bootstrap_difference(labels, predicted, predicted, 4)
    assert (found.value, found.low, found.high, found.verdict) == (0, 0, 0, "not clearly different")


def test_a_paired_interval_is_narrower_than_that_of_independent_errors(labels: np.ndarray) -> None:
    generator = np.random.default_rng(4)
    first = draw(600, 0.4, generator, labels)
    nearly_same = np.where(generator.random(600) < 0.03, labels, first)
    independent = draw(600, 0.4, generator, labels)
    close, far = (bootstrap_difference(labels, first, one, 4) for one in (nearly_same, independent))
    assert close.high - close.low < (far.high - far.low) / 2
    assert close.verdict == "worse"  # of the first: a difference of 0.02 is clear when the errors are shared


def test_a_class_that_no_resample_holds_is_left_out() -> None:
    found = bootstrap_difference(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2)
    assert np.isfinite([found.value, found.low, found.high]).all()
