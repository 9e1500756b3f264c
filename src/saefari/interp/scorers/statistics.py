"""Statistics of scores: AUROC, correlations, and their 95% confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

_LEVEL = 0.95
_Z = 1.959964
_PSEUDO_VALUE = 0.5
"""Placement value of the pseudo-observation of each group, so that perfect separation has an interval, too."""
_RESAMPLES = 2000


@dataclass(frozen=True)
class Mean:
    """Mean of n values. interval: 95% confidence interval, None for fewer than two values."""

    value: float
    interval: tuple[float, float] | None
    n: int

    def record(self) -> dict[str, Any]:
        """Return a JSON-able record."""
        return {"mean": self.value, "interval": list(self.interval) if self.interval else None, "n": self.n}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Mean:
        """Return the mean that `record` wrote."""
        interval = record["interval"]
        return cls(record["mean"], None if interval is None else (interval[0], interval[1]), record["n"])


@dataclass(frozen=True)
class Correlation:
    """Correlation of n pairs. value, p_value: None if one variable is constant or there are fewer than three pairs."""

    value: float | None
    p_value: float | None
    n: int

    def record(self) -> dict[str, Any]:
        """Return a JSON-able record."""
        return {"value": self.value, "p_value": self.p_value, "n": self.n}


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the area under the ROC curve, P(positive > negative) + P(equal) / 2.

    positive [m], negative [n]: scores of the two groups. Computed from ranks (Mann and Whitney 1947). For scores that
    are 0 or 1 it equals the balanced accuracy. Raises ValueError for an empty group.
    """
    return float(_placements(positive, negative)[0].mean())


def auroc_interval(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the AUROC, within 0 and 1 and on either side of the estimate.

    The variance is DeLong's (DeLong et al. 1988, doi:10.2307/2531595), with one pseudo-observation in each group; the
    interval is symmetric on the logit scale. tests/interp/scorers/test_statistics.py simulates its coverage.
    """
    above, below = _placements(positive, negative)
    estimate = float(above.mean())
    smoothed = [np.append(values, _PSEUDO_VALUE) for values in (above, below)]
    centre = float(np.mean([values.mean() for values in smoothed]))
    # A group's variance is at least that of equal values of which one differs by a half.
    error = float(np.sqrt(sum(max(values.var(), 0.25 / len(values)) / len(values) for values in smoothed)))
    reach = _Z * error / (centre * (1 - centre))
    logit = float(np.log(centre / (1 - centre)))
    low, high = (1 / (1 + np.exp(-(logit + side * reach))) for side in (-1, 1))
    return min(float(low), estimate), max(float(high), estimate)


def _placements(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each positive the share of negatives below it, and for each negative the share of positives above it.

    Ties count half. Raises ValueError for an empty group and for scores that are not finite.
    """
    positive, negative = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    m, n = len(positive), len(negative)
    if m == 0 or n == 0:
        raise ValueError(f"AUROC needs scores of both groups: {m} positive, {n} negative")
    both = np.concatenate([positive, negative])
    if not np.isfinite(both).all():
        raise ValueError("AUROC needs finite scores")
    ranks = stats.rankdata(both)
    above = (ranks[:m] - stats.rankdata(positive)) / n
    below = 1 - (ranks[m:] - stats.rankdata(negative)) / m
    return above, below


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share of n independent trials (Wilson 1927, doi:10.2307/2276774)."""
    found = stats.binomtest(hits, n).proportion_ci(_LEVEL, method="wilson")
    return float(found.low), float(found.high)


def mean(values: Sequence[float] | np.ndarray) -> Mean:
    """Return the mean of independent values with Student's t interval. Raises ValueError for no values."""
    array = np.asarray(values, np.float64)
    if len(array) == 0:
        raise ValueError("no values to average")
    centre = float(array.mean())
    if len(array) < 2:
        return Mean(centre, None, len(array))
    reach = float(stats.t.ppf((1 + _LEVEL) / 2, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return Mean(centre, (centre - reach, centre + reach), len(array))


def mean_difference(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Mean:
    """Return the mean of the differences of paired values, with the interval of the paired t test.

    first, second: equally long; value i of both belongs to the same latent.
    """
    return mean([a - b for a, b in zip(first, second, strict=True)])


def difference_of_means(first: Mean, second: Mean) -> Mean:
    """Return the difference of the means of two independent groups, with Welch's t interval; n: of the first.

    The interval is None if one of the means has none or if both groups do not vary.
    """
    difference = first.value - second.value
    if first.interval is None or second.interval is None:
        return Mean(difference, None, first.n)
    variances = [_squared_error(one) for one in (first, second)]
    total = sum(variances)
    if total == 0:
        return Mean(difference, None, first.n)
    freedom = total**2 / sum(v**2 / (one.n - 1) for v, one in zip(variances, (first, second), strict=True))
    reach = float(stats.t.ppf((1 + _LEVEL) / 2, freedom) * np.sqrt(total))
    return Mean(difference, (difference - reach, difference + reach), first.n)


def _squared_error(found: Mean) -> float:
    """Return the squared standard error behind Student's interval of a mean."""
    assert found.interval is not None
    reach = (found.interval[1] - found.interval[0]) / 2
    return float((reach / stats.t.ppf((1 + _LEVEL) / 2, found.n - 1)) ** 2)


def spearman(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Correlation:
    """Return Spearman's rank correlation of paired values, with the p-value of no association."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(None, None, len(a))
    found = stats.spearmanr(a, b)
    return Correlation(float(found.statistic), float(found.pvalue), len(a))


def grouped_pearson(
    groups: Sequence[tuple[np.ndarray, np.ndarray]], seed: int
) -> tuple[float | None, tuple[float, float] | None]:
    """Return Pearson's correlation over all pairs, and the percentile bootstrap interval that resamples groups.

    groups: pairs of equally long arrays, such as the predicted and true activations of each context; pairs within a
    group depend on each other. The correlation is None if one variable is constant.
    """
    sums = np.array([_sums(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in groups])
    value = float(_pearson(sums.sum(axis=0)[None])[0])
    if np.isnan(value):
        return None, None
    draws = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=_RESAMPLES)
    resampled = _pearson(draws @ sums)
    resampled = resampled[np.isfinite(resampled)]
    if len(sums) < 2 or len(resampled) == 0:
        return value, None
    low, high = np.quantile(resampled, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return value, (min(float(low), value), max(float(high), value))


def _sums(x: np.ndarray, y: np.ndarray) -> list[float]:
    return [len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]


def _pearson(sums: np.ndarray) -> np.ndarray:
    """Return the correlation of each row of sums [n_rows, 6]; NaN where a variable is constant."""
    n, x, y, xx, yy, xy = np.asarray(sums, np.float64).T
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    is_constant = (spread_x <= 1e-12 * n * xx) | (spread_y <= 1e-12 * n * yy)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = (n * xy - x * y) / np.sqrt(spread_x * spread_y)
    return np.where(is_constant, np.nan, found)
