"""Features that explain a prediction, with names and links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.shared.data.one_result import OneResult, codes_of, sae_of
from app.shared.data.tree import Index
from app.shared.permalinks import link
from saefari.store import read_explanation

if TYPE_CHECKING:
    from scipy import sparse

    from saefari.classify.decisions import Decision

_OFFERED = 15


@dataclass(frozen=True)
class Feature:
    """A feature for display. href: its latent's page or "". explanation: "" without one."""

    label: str
    href: str
    explanation: str


def describe_features(
    index: Index, result: OneResult, features: Sequence[int], names: Sequence[str | None] | None
) -> list[Feature]:
    """Describe features by number. names: the features' own names, None for features without one."""
    sae = sae_of(index, result.row)
    codes = None if sae is None else codes_of(sae, result.row)
    found = []
    for i, number in enumerate(features):
        name = names[i] if names else None
        href = "" if sae is None else link("/latent", sae=sae.id, latent=number, codes=codes.id if codes else None)
        written = None if sae is None else read_explanation(sae.explanations, number)
        found.append(Feature(name or f"{result.word} {number}", href, written.text if written else ""))
    return found


def supporting_latents(decision: Decision, k: int) -> list[int]:
    """Active latents by their contribution to the logit of class k, largest first; of a tree, those on the path, last
    first.
    """
    if decision.contributions is not None:
        order = np.argsort(-decision.contributions.per_class[:, k], kind="stable")
        return [int(decision.contributions.features[i]) for i in order if decision.contributions.values[i] > 0]
    if decision.path is not None:
        return list(dict.fromkeys(step.feature for step in reversed(decision.path.steps) if step.value > 0))
    return []


def offered_latents(decision: Decision | None, k: int, codes: sparse.csr_array) -> dict[int, str]:
    """Latents to colour a row by, each with the reason: those that support class k, then the strongest."""
    if codes.shape[0] == 0:
        return {}
    peaks = codes.max(axis=0).toarray().ravel()
    active = set(np.flatnonzero(peaks).tolist())
    offered: dict[int, str] = {}
    for place, latent in enumerate(supporting_latents(decision, k) if decision else []):
        if latent in active and len(offered) < _OFFERED:
            offered[latent] = f"supports the prediction (rank {place + 1})"
    strongest = [int(latent) for latent in np.argsort(-peaks, kind="stable")[: 2 * _OFFERED] if peaks[latent] > 0]
    for latent in strongest:
        if latent not in offered and len(offered) < 2 * _OFFERED:
            offered[latent] = f"strong in this row (up to {peaks[latent]:.3g})"
    return offered
