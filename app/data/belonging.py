"""Which results were made with which SAE, and which of them a page shows when the URL names none."""

from __future__ import annotations

import pandas as pd

from app.data.saes import Sae
from app.data.selection import SAE
from app.data.tree import Index


def results_of(table: pd.DataFrame, sae: Sae) -> pd.DataFrame:
    """The results whose features are codes of an SAE."""
    ours = (
        table["folder"].str.startswith(f"{sae.model}/") & (table["layer"] == sae.layer) & (table["width"] == sae.width)
    )
    return table[ours.fillna(False).astype(bool)]


def best_result(table: pd.DataFrame) -> pd.Series | None:
    """The SAE result that cross-validation chooses among those whose files are here; else any result; else None."""
    here = table[table["run"] != ""]
    saes = here[here["source"] == SAE]
    candidates = here if saes.empty else saes
    if candidates.empty:
        return None
    judged = candidates["cv_macro_f1"].fillna(float("-inf"))
    return candidates.loc[judged.idxmax()]


def best_sae(index: Index) -> str | None:
    """Id of the SAE of the best result, else of the first SAE."""
    best = best_result(index.results)
    if best is not None:
        for sae in index.saes.values():
            key = (sae.model, sae.layer, sae.width)
            if key == (best.folder.split("/", 1)[0], best.layer, best.width):
                return sae.id
    return next(iter(index.saes), None)
