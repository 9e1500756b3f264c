"""Notices of the page Compare: missing data, and scores with a caution."""

from __future__ import annotations

import dash_mantine_components as dmc
import pandas as pd

from app.shared.data.selection import SAE
from app.shared.labels import METRICS
from app.shared.parts.page import notice


def cautions(rows: pd.DataFrame) -> list[dmc.Alert]:
    """A notice if scores have a caution."""
    marked = rows[rows["caution"] != ""]
    reasons = "; ".join(sorted(set(marked["caution"])))
    message = f"{len(marked)} of {len(rows)} results here are not meaningful: {reasons}."
    return [notice(message, color="red")] if reasons else []


def no_metric_message(rows: pd.DataFrame, metric: str) -> str:
    """Message that no row has the metric."""
    if len(rows) == 1:
        return f"The only result here has no {METRICS[metric]}: choose another metric."
    return f"None of the {len(rows):,} results here has {METRICS[metric]}: choose another metric."


def no_heat_map_message(table: pd.DataFrame, metric: str) -> str:
    """Message that names what the heat map lacks."""
    saes = table[table["source"] == SAE]
    if saes.empty:
        return "There are no results of SAE features in this selection."
    if saes[metric].isna().all():
        return no_metric_message(saes, metric)
    return f"No model has a baseline with {METRICS[metric]} on a dataset that its SAE results share."


def no_pair_message(table: pd.DataFrame) -> str:
    """Message that names what a comparison of SAE results with baselines lacks."""
    has_sae = table["source"] == SAE
    if not has_sae.any():
        return "There are no results of SAE features in this selection."
    if has_sae.all():
        return "There are no baselines in this selection."
    return "No dataset has both an SAE result and a baseline."
