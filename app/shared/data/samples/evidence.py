"""Evidence for a class at each position: a linear probe's contributions, distributed over positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

    from saefari.classify.decisions import Contributions

EVIDENCE = "evidence"
"""Value of the latent control that colours a row by all latents together."""


def position_evidence(codes: sparse.csr_array, found: Contributions, k: int) -> np.ndarray:
    """Contribution of each position to the logit of class k, float64 [n_positions].

    codes: [n_positions, d_sae]. A latent's contribution is distributed over its active positions in proportion to its
    activation, so the positions sum to the contributions of the active latents.
    """
    per_latent = np.zeros(codes.shape[1])
    per_latent[found.features] = found.per_class[:, k]
    totals = np.asarray(codes.sum(axis=0), dtype=np.float64).ravel()
    per_unit = np.divide(per_latent, totals, out=np.zeros_like(totals), where=totals > 0)
    evidence: np.ndarray = codes.astype(np.float64) @ per_unit
    return evidence
