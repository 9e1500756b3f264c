"""What a page opened without ids shows first."""

from __future__ import annotations

import numpy as np

from app.data.firing import densities
from app.data.latents import default_codes
from app.data.saes import Sae
from app.data.tree import Index
from app.data.usage import results_of, times_used
from saefari.errors import StoreError


def default_sae(index: Index) -> Sae | None:
    """The SAE of the best result by cross-validation among those with codes, else the first there is."""
    scores = {}
    for sae in index.saes.values():
        best = results_of(sae, index)["cv_macro_f1"].max()
        scores[sae.id] = (bool(sae.code_sets), -1.0 if np.isnan(best) else float(best))
    return max(index.saes.values(), key=lambda sae: scores[sae.id], default=None)


def default_latent(sae: Sae, index: Index) -> int:
    """The latent that most results read, else the one most often active, else 0."""
    codes = default_codes(sae)
    used = times_used(sae, sae.d_sae or 0, index)
    if used.any():
        return int(used.argmax())
    try:
        return int(densities(codes).counts.argmax()) if codes else 0
    except StoreError:
        return 0
