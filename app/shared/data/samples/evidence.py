"""Where in a row the evidence for a class lies: a linear probe's contributions, shared out over positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

    from saefari.classify.decisions import Contributions

EVIDENCE = "evidence"
"""Stands for a latent's number where a row is coloured by all of them together."""


def position_evidence(codes: sparse.csr_array, found: Contributions, k: int) -> np.ndarray:
    """What each position contributed to the logit of class k, float64 [n_positions].

    codes: [n_positions, d_sae]. A latent's contribution is shared out over the positions where it is active, in
    proportion to its activation there, so that the positions add up to the contributions of the active latents.
    """
    per_latent = np.zeros(codes.shape[1])
    per_latent[found.features] = found.per_class[:, k]
    totals = np.asarray(codes.sum(axis=0), dtype=np.float64).ravel()
    per_unit = np.divide(per_latent, totals, out=np.zeros_like(totals), where=totals > 0)
    evidence: np.ndarray = codes.astype(np.float64) @ per_unit
    return evidence
