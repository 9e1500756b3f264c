"""Controls of scores: explanations of other latents, and latents of an SAE with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from saefari.interp.scorers.statistics import (
    Correlation,
    Mean,
    difference_of_means,
    mean,
    mean_difference,
    spearman,
)

_BIN_SIZE = 10
"""Least number of latents of similar density that exchange explanations."""


def shuffled_assignment(densities: Sequence[float], seed: int) -> list[int]:
    """Return for each latent the index of another one of similar density, whose explanation is its control.

    densities: share of positions at which each latent is active. Latents are ordered by density and divided into bins
    of at least ten; within a bin a random cyclic permutation exchanges them, so that none keeps its own explanation and
    each is used once. Empty for fewer than two latents.
    """
    n = len(densities)
    if n < 2:
        return []
    generator = np.random.default_rng(seed)
    other = np.empty(n, np.int64)
    for part in np.array_split(np.argsort(densities, kind="stable"), max(1, n // _BIN_SIZE)):
        cycle = generator.permutation(part)
        other[cycle] = np.roll(cycle, -1)
    return [int(index) for index in other]


@dataclass(frozen=True)
class ScoreSummary:
    """The results of one scorer for an SAE; each mean is over latents and has a 95% interval.

    chance: value of an uninformative explanation. score: mean. shuffled: mean score of other latents' explanations.
    above_shuffled: mean difference of a latent's score and its shuffled control (paired). random_sae: mean score of the
    latents of an SAE with random weights. above_random_sae: difference of the means. None: without this control.
    firing_rate: Spearman's correlation of score and density.
    """

    chance: float
    score: Mean
    firing_rate: Correlation
    shuffled: Mean | None = None
    above_shuffled: Mean | None = None
    random_sae: Mean | None = None
    above_random_sae: Mean | None = None

    @property
    def is_above_controls(self) -> bool:
        """Whether the intervals of the differences to all controls are above 0; False without a control."""
        differences = [one for one in (self.above_shuffled, self.above_random_sae) if one is not None]
        return bool(differences) and all(one.interval is not None and one.interval[0] > 0 for one in differences)

    def record(self) -> dict[str, Any]:
        """Return a JSON-able record: chance, mean, interval, n, and the same of each control that there is."""
        controls: dict[str, Mean | None] = {
            name: getattr(self, name) for name in ("shuffled", "above_shuffled", "random_sae", "above_random_sae")
        }
        return {
            "chance": self.chance,
            **self.score.record(),
            **{name: one.record() for name, one in controls.items() if one is not None},
            "is_above_controls": self.is_above_controls,
            "firing_rate_spearman": self.firing_rate.value,
        }


def summarise(
    scores: Mapping[int, float],
    densities: Mapping[int, float],
    chance: float,
    shuffled: Mapping[int, float] | None = None,
    random_sae: Mean | None = None,
) -> ScoreSummary:
    """Summarise the values of one scorer beside its controls.

    scores, shuffled: latent -> value with its own and with another latent's explanation; latents without both are left
    out of the comparison. densities: latent -> share of positions. random_sae: mean over the latents of an SAE with
    random weights, explained and scored in the same way. Raises ValueError without scores.
    """
    paired = [latent for latent in scores if latent in (shuffled or {})]
    own, other = [scores[latent] for latent in paired], [(shuffled or {})[latent] for latent in paired]
    score = mean(list(scores.values()))
    return ScoreSummary(
        chance=chance,
        score=score,
        firing_rate=spearman(list(scores.values()), [densities[latent] for latent in scores]),
        shuffled=mean(other) if paired else None,
        above_shuffled=mean_difference(own, other) if paired else None,
        random_sae=random_sae,
        above_random_sae=None if random_sae is None else difference_of_means(score, random_sae),
    )


def agreement(scores: Mapping[str, Mapping[int, float]]) -> dict[tuple[str, str], Correlation]:
    """Return Spearman's correlation of each pair of scorers, over the latents that both scored.

    scores: scorer -> latent -> value.
    """
    found = {}
    for first, second in combinations(scores, 2):
        both = [latent for latent in scores[first] if latent in scores[second]]
        found[first, second] = spearman(*([scores[name][latent] for latent in both] for name in (first, second)))
    return found
