"""The score of numbers that should be larger for contexts that an explanation fits than for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from saefari.interp.records import Score
from saefari.interp.scorers.statistics import auroc, auroc_interval


def separation(
    scorer: str,
    positive: np.ndarray,
    negative: np.ndarray,
    deciles: np.ndarray,
    details: Mapping[str, Any] | None = None,
) -> Score:
    """Return the AUROC of `positive` [m] over `negative` [n] as a score, with the AUROC of each decile's positives.

    deciles: int [m], decile of each positive context. details: further figures to store.
    """
    per_decile = {str(decile): auroc(positive[deciles == decile], negative) for decile in sorted(set(deciles.tolist()))}
    return Score(
        scorer,
        auroc(positive, negative),
        auroc_interval(positive, negative),
        len(positive),
        len(negative),
        {**(details or {}), "auroc_per_decile": per_decile},
    )
