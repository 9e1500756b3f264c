"""Choose the latents of an image report: those most used by classifiers, and the most active ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from saefari.store import iter_results

Result = dict[str, Any]


@dataclass(frozen=True)
class ChosenLatent:
    """A latent, and the reason why it was chosen."""

    latent: int
    why: str


def choose_latents(results: Sequence[Result], activity: np.ndarray, most: int) -> list[ChosenLatent]:
    """Choose at most `most` latents, alternating between linear probe, tree and activity; return them in that order.

    results: of the settings that read these codes; of each classifier the best by cross-validation is used.
    activity: float64 [d_sae], on training rows. A probe's latents are those with the largest positive weights,
    alternating between classes; a tree's are the most important. Test rows are not used.
    """
    sources = [list(_of_probe(results)), list(_of_tree(results)), list(_most_active(activity, most))]
    alternating = chain.from_iterable(zip_longest(*sources))
    chosen = list(dict.fromkeys(one.latent for one in alternating if one is not None))[:most]
    by_latent: dict[int, ChosenLatent] = {}
    for one in chain.from_iterable(sources):
        if one.latent in chosen:
            by_latent.setdefault(one.latent, one)
    return list(by_latent.values())


def results_below(folder: Path) -> list[Result]:
    """Return every result of a feature source in a fixed order; [] if nothing was classified."""
    return [result for _, result in iter_results(folder)]


def _of_probe(results: Iterable[Result]) -> Iterator[ChosenLatent]:
    probe = _best(results, "linear")
    if probe is None:
        return
    weights = [
        [(entry["feature"], entry["weight"], name) for entry in entries if entry["weight"] > 0]
        for name, entries in probe["top_features"].items()
    ]
    for feature, weight, name in filter(None, chain.from_iterable(zip_longest(*weights))):
        yield ChosenLatent(feature, f"linear probe: weight {weight:+.3g} for {name}")


def _of_tree(results: Iterable[Result]) -> Iterator[ChosenLatent]:
    tree = _best(results, "tree")
    for entry in tree["top_features"] if tree else ():
        yield ChosenLatent(entry["feature"], f"tree: importance {entry['importance']:.3g}")


def _most_active(activity: np.ndarray, most: int) -> Iterator[ChosenLatent]:
    for latent in np.argsort(-activity, kind="stable")[:most]:
        if activity[latent] > 0:
            yield ChosenLatent(int(latent), f"most active: mean {activity[latent]:.3g}")


def _best(results: Iterable[Result], name: str) -> Result | None:
    """Return the classifier of that name with the best cross-validation (imported ones have none); ties: the first."""
    classifiers = (result["classifiers"].get(name, {}) for result in results)
    compared = [one for one in classifiers if one.get("cross_validation", {}).get("macro_f1") is not None]
    return max(compared, key=lambda one: float(one["cross_validation"]["macro_f1"]), default=None)
