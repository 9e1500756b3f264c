"""Table of win rates: the best SAE setting against the best setting of each baseline."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import pandas as pd

from app.pages.compare.data.cells import win_rates
from app.pages.compare.parts.missing import cautions, no_pair_message
from app.shared.data.selection import SAE
from app.shared.labels import SOURCES
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.page import notice


def win_table(table: pd.DataFrame) -> Any:
    """One row per baseline, or a notice that names what is missing."""
    rates = win_rates(table)
    if not rates:
        return notice(no_pair_message(table))
    rows = [
        {
            "baseline": SOURCES.get(rate.baseline, rate.baseline),
            "rate": rate.wins / rate.n,
            "difference": rate.difference,
            **{
                name: getattr(rate, name)
                for name in (
                    "n",
                    "wins",
                    "wins_apart",
                    "losses",
                    "losses_apart",
                    "unknown",
                    "by_test",
                )
            },
        }
        for rate in rates
    ]
    by_test = any(rate.by_test for rate in rates)
    wrapped = {"wrapHeaderText": True, "autoHeaderHeight": True}
    columns = [
        text_column("baseline", f"{SOURCES[SAE]} against", flex=1, minWidth=200),
        number_column("n", "datasets", width=110),
        number_column("rate", "win rate", 2, width=110),
        number_column("wins", width=90),
        number_column("wins_apart", "wins, intervals apart", width=130, **wrapped),
        number_column("losses", width=100),
        number_column("losses_apart", "losses, intervals apart", width=130, **wrapped),
        number_column("unknown", "without intervals", width=130, **wrapped),
        *([number_column("by_test", "selected by test score", width=130, **wrapped)] if by_test else []),
        number_column("difference", "mean difference", 3, width=130, **wrapped),
    ]
    return dmc.Stack([*cautions(table), grid("win-rates", columns, rows, height=f"{96 + 42 * len(rows)}px")])
