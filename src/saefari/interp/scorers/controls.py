"""Controls of scores: explanations of other latents, and latents of an SAE with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from saefari.interp.scorers.statistics import Correlation, Mean, mean, mean_difference, spearman

T = TypeVar("T")

_BIN_SIZE = 10
"""Least number of latents of similar density that exchange explanations."""


def shuffled_latents(densities: Mapping[int, float], seed: int) -> dict[int, int]:
    """Return for each latent another one of similar density, whose explanation is its control.

    densities: latent -> share of positions at which it is active. Latents are ordered by density and divided into bins
    of at least ten; within a bin a random cyclic permutation (Sattolo 1986) exchanges them, so that every latent is
    once a source and none keeps its own. Depends on `densities` and `seed` only, not on the order of the mapping. Empty
    for fewer than two latents.
    """
    if len(densities) < 2:
        return {}
    ordered = sorted(densities, key=lambda latent: (densities[latent], latent))
    generator = np.random.default_rng(seed)
    other: dict[int, int] = {}
    for part in np.array_split(np.array(ordered), max(1, len(ordered) // _BIN_SIZE)):
        cycle = generator.permutation(part).tolist()
        other.update(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    return other


def shuffled(explanations: Mapping[int, T], densities: Mapping[int, float], seed: int) -> dict[int, T]:
    """Return the explanation of another latent of similar density for each explained latent; see `shuffled_latents`."""
    other = shuffled_latents({latent: densities[latent] for latent in explanations}, seed)
    return {latent: explanations[source] for latent, source in other.items()}


@dataclass(frozen=True)
class ScoreSummary:
    """One scorer's results for an SAE.

    score, shuffled, random_sae: mean over latents, of the control over those that were scored with it, None without
    them. above_shuffled: mean difference of each latent's score and its shuffled control (paired). above_random_sae:
    difference of the means. All with 95% intervals. firing_rate: Spearman correlation of score and density.
    """

    scorer: str
    chance: float
    score: Mean
    shuffled: Mean | None
    random_sae: Mean | None
    above_shuffled: Mean | None
    above_random_sae: Mean | None
    firing_rate: Correlation

    @property
    def is_above_controls(self) -> bool:
        """Whether the intervals of all differences to controls are above 0; False without any."""
        differences = [one for one in (self.above_shuffled, self.above_random_sae) if one is not None]
        return bool(differences) and all(one.interval is not None and one.interval[0] > 0 for one in differences)

    def record(self) -> dict[str, Any]:
        """Return a JSON-able record."""
        means = ("score", "shuffled", "random_sae", "above_shuffled", "above_random_sae")
        found: dict[str, Mean | None] = {name: getattr(self, name) for name in means}
        return {
            "scorer": self.scorer,
            "chance": self.chance,
            **{name: one.record() if one is not None else None for name, one in found.items()},
            "firing_rate": self.firing_rate.record(),
            "is_above_controls": self.is_above_controls,
        }


def summarise(
    scorer: str,
    chance: float,
    scores: Mapping[int, float],
    densities: Mapping[int, float],
    shuffled: Mapping[int, float] | None = None,
    random_sae: Sequence[float] = (),
) -> ScoreSummary:
    """Summarise the values of one scorer, with its controls.

    scores, shuffled: latent -> value with its own and with another latent's explanation. densities: latent -> share of
    positions. random_sae: values of the latents of an SAE with random weights. Raises ValueError without scores.
    """
    paired = [latent for latent in scores if latent in (shuffled or {})]
    controls = [(shuffled or {})[latent] for latent in paired]
    values = list(scores.values())
    return ScoreSummary(
        scorer=scorer,
        chance=chance,
        score=mean(values),
        shuffled=mean(controls) if paired else None,
        random_sae=mean(random_sae) if len(random_sae) else None,
        above_shuffled=mean([scores[latent] - control for latent, control in zip(paired, controls, strict=True)])
        if paired
        else None,
        above_random_sae=mean_difference(values, random_sae) if len(random_sae) else None,
        firing_rate=spearman(values, [densities[latent] for latent in scores]),
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
