"""AUROC, correlations and intervals against scikit-learn and SciPy; coverage of the intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from saefari.interp.scorers.statistics import (
    Mean,
    auroc,
    auroc_interval,
    difference_of_means,
    grouped_pearson,
    mean,
    mean_difference,
    share_interval,
    spearman,
)

few_values = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=30)
any_values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(few_values | any_values, few_values | any_values)
def test_auroc_equals_scikit_learns_with_and_without_ties(positive: list[float], negative: list[float]) -> None:
    truth = [1] * len(positive) + [0] * len(negative)
    expected = roc_auc_score(truth, positive + negative)
    assert auroc(np.array(positive), np.array(negative)) == pytest.approx(expected, abs=1e-12)


@given(few_values | any_values, few_values | any_values)
def test_the_interval_of_an_auroc_holds_the_estimate_within_0_and_1(
    positive: list[float], negative: list[float]
) -> None:
    low, high = auroc_interval(np.array(positive), np.array(negative))
    assert 0 <= low <= auroc(np.array(positive), np.array(negative)) <= high <= 1
    assert low < high


def test_auroc_of_binary_scores_is_the_balanced_accuracy() -> None:
    positive, negative = np.array([1, 1, 1, 0, 0]), np.array([0, 0, 1])
    truth = [1] * 5 + [0] * 3
    expected = balanced_accuracy_score(truth, [*positive, *negative])
    assert auroc(positive, negative) == pytest.approx(expected)


@pytest.mark.parametrize(("positive", "negative"), [([], [1.0]), ([1.0], []), ([np.nan], [1.0]), ([np.inf], [1.0])])
def test_auroc_refuses_empty_groups_and_values_that_are_not_finite(
    positive: list[float], negative: list[float]
) -> None:
    with pytest.raises(ValueError, match="AUROC needs"):
        auroc(np.array(positive), np.array(negative))


def test_perfect_separation_has_an_interval_that_narrows_with_more_contexts() -> None:
    lows = [auroc_interval(np.ones(n), np.zeros(n))[0] for n in (5, 20, 100)]
    assert lows == sorted(lows)
    assert 0.3 < lows[0] < 0.7
    assert 0.9 < lows[2] < 1


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5, 2.5])
@pytest.mark.parametrize("kind", ["normal", "five levels", "binary"])
def test_the_interval_covers_the_true_auroc(n: int, shift: float, kind: str) -> None:
    """Nominal 95%; within what 1,000 simulations can tell, or above."""
    generator = np.random.default_rng(0)

    def draw(size: int, centre: float) -> np.ndarray:
        values = generator.normal(centre, 1, size)
        if kind == "normal":
            return values
        return np.digitize(values, [shift / 2] if kind == "binary" else [-0.5, 0.5, 1.0, 1.5])

    true = auroc(draw(400_000, shift), draw(400_000, 0))
    covered = []
    for _ in range(1000):
        low, high = auroc_interval(draw(n, shift), draw(n, 0))
        covered.append(low <= true <= high)
    assert 0.925 <= np.mean(covered) <= 0.999


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.4, 0.7, 0.9, 0.65]
    found = mean(values)
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert found.value == pytest.approx(np.mean(values))
    assert found.interval == pytest.approx(expected)
    assert found.record() == {"mean": found.value, "interval": list(expected), "n": 4}
    assert mean([0.5]).interval is None
    with pytest.raises(ValueError, match="no values"):
        mean([])


def test_the_mean_difference_is_that_of_the_paired_t_test() -> None:
    first, second = [0.4, 0.7, 0.9, 0.65], [0.5, 0.55, 0.45, 0.6]
    found = mean_difference(first, second)
    expected = stats.ttest_rel(first, second).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))
    with pytest.raises(ValueError, match="shorter"):
        mean_difference(first, second[:3])


def test_the_difference_of_independent_means_is_welchs() -> None:
    first, second = [0.4, 0.7, 0.9, 0.65], [0.5, 0.55, 0.45]
    found = difference_of_means(mean(first), Mean.of_record(mean(second).record()))
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert found.value == pytest.approx(np.mean(first) - np.mean(second))
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert difference_of_means(mean([0.5]), mean(first)).interval is None
    assert difference_of_means(mean([0.5, 0.5]), mean([0.4, 0.4])).interval is None
    assert Mean.of_record(mean([0.5]).record()) == mean([0.5])


def test_the_interval_of_a_share_is_wilsons() -> None:
    low, high = share_interval(9, 10)
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-3)
    assert share_interval(0, 10)[0] == pytest.approx(0, abs=1e-12)


def test_spearman_is_scipys() -> None:
    generator = np.random.default_rng(1)
    a = generator.normal(size=50)
    b = a + generator.normal(size=50)
    found = spearman(a, b)
    assert (found.value, found.p_value) == pytest.approx(tuple(stats.spearmanr(a, b)))
    assert found.n == 50
    assert spearman([1, 1, 1], [1, 2, 3]).value is None
    assert spearman([1, 2], [1, 2]).value is None


def test_grouped_pearson_is_scipys_over_all_pairs() -> None:
    generator = np.random.default_rng(2)
    groups = [(generator.normal(size=n) + 5, generator.normal(size=n)) for n in (3, 8, 20)]
    groups = [(x, y + x) for x, y in groups]
    value, interval = grouped_pearson(groups, 0)
    expected = stats.pearsonr(*(np.concatenate([pair[i] for pair in groups]) for i in (0, 1)))
    assert value == pytest.approx(expected.statistic)
    assert interval is not None
    assert interval[0] < expected.statistic < interval[1]
    assert grouped_pearson(groups, 0)[1] == interval
    assert grouped_pearson([(np.ones(3), np.arange(3))], 0) == (None, None)
    assert grouped_pearson([(np.arange(3), np.arange(3))], 0) == (pytest.approx(1), None)


@pytest.mark.slow
def test_the_bootstrap_over_groups_covers_the_true_correlation() -> None:
    """Values of a context share an offset, so that an interval over single tokens would be too narrow."""
    generator = np.random.default_rng(3)

    def draw(n_groups: int) -> list[tuple[np.ndarray, np.ndarray]]:
        shared = generator.normal(size=n_groups)
        return [(o + generator.normal(size=10), o + generator.normal(size=10)) for o in shared]

    covered = []
    for seed in range(300):
        _, interval = grouped_pearson(draw(40), seed)
        assert interval is not None
        covered.append(interval[0] <= 0.5 <= interval[1])
    assert 0.9 <= np.mean(covered) <= 0.99
