"""Which results were made with which SAE, and the SAE that a page shows when the URL names none."""

from __future__ import annotations

import pandas as pd

from app.data.one_result import default_result, sae_of
from app.data.saes import Sae
from app.data.tree import Index


def results_of(table: pd.DataFrame, sae: Sae) -> pd.DataFrame:
    """The results whose features are codes of an SAE."""
    ours = (
        table["folder"].str.startswith(f"{sae.model}/") & (table["layer"] == sae.layer) & (table["width"] == sae.width)
    )
    return table[ours.fillna(False).astype(bool)]


def best_sae(index: Index) -> str | None:
    """Id of the SAE of the best result, else of the first SAE."""
    best = default_result(index.results)
    if best is not None:
        rows = index.results[(index.results["run"] == best[0]) & (index.results["classifier"] == best[1])]
        sae = sae_of(index, rows.iloc[0])
        if sae is not None:
            return sae.id
    return next(iter(index.saes), None)
