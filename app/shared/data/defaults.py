"""Default SAE and latent of pages opened without ids."""

from __future__ import annotations

from app.shared.data.latents.firing import densities
from app.shared.data.latents.summary import default_codes
from app.shared.data.latents.usage import times_used
from app.shared.data.one_result import sae_of
from app.shared.data.saes import Sae
from app.shared.data.selection import best_first
from app.shared.data.tree import Index
from saefari.errors import StoreError


def default_sae(index: Index) -> Sae | None:
    """The SAE with codes that has the best result by cross-validation; else the first SAE."""
    with_codes = [sae for sae in index.saes.values() if sae.code_sets]
    results = best_first(index.results[index.results["run"] != ""])
    for row in results.itertuples():
        sae = sae_of(index, row)
        if sae in with_codes:
            return sae
    return next(iter([*with_codes, *index.saes.values()]), None)


def default_latent(sae: Sae, index: Index) -> int:
    """The latent that most results use; else the most frequently active one; else 0."""
    codes = default_codes(sae)
    used = times_used(sae, sae.d_sae or 0, index)
    if used.any():
        return int(used.argmax())
    try:
        return int(densities(codes).counts.argmax()) if codes else 0
    except StoreError:
        return 0
