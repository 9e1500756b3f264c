"""Latents that explain a prediction, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

    from saefari.classify.decisions import Decision

_OFFERED = 15


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
