"""Why a part of the page Compare has nothing to show, or shows scores that say little."""

from __future__ import annotations

import dash_mantine_components as dmc
import pandas as pd

from app.shared.data.selection import SAE
from app.shared.labels import METRICS
from app.shared.parts.page import notice


def cautions(rows: pd.DataFrame) -> list[dmc.Alert]:
    """A notice where a score has a caution."""
    marked = rows[rows["caution"] != ""]
    said = "; ".join(sorted(set(marked["caution"])))
    return [notice(f"{len(marked)} of {len(rows)} results here say little: {said}.", color="red")] if said else []


def no_metric_message(rows: pd.DataFrame, metric: str) -> str:
    """Say that none of the rows has a metric."""
    if len(rows) == 1:
        return f"The only result here has no {METRICS[metric]}: choose another metric."
    return f"None of the {len(rows):,} results here has {METRICS[metric]}: choose another metric."


def no_heat_map_message(table: pd.DataFrame, metric: str) -> str:
    """What is missing for a map of SAE results, or of their distance from baselines."""
    saes = table[table["source"] == SAE]
    if saes.empty:
        return "There is no result of SAE features among these."
    if saes[metric].isna().all():
        return no_metric_message(saes, metric)
    return f"No model has a baseline with {METRICS[metric]} on a dataset of its SAE results."


def no_pair_message(table: pd.DataFrame) -> str:
    """What is missing for a comparison of SAE results and baselines on one dataset."""
    has_sae = table["source"] == SAE
    if not has_sae.any():
        return "There is no result of SAE features among these."
    if has_sae.all():
        return "There is no baseline among these results."
    return "No dataset has both an SAE result and a baseline."
