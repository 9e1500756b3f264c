"""Searchable drop-down of results; choosing one navigates to its page."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
import pandas as pd
from dash import ALL, MATCH, Input, Output, State, callback, ctx, dcc

from app.shared.data.selection import best_first
from app.shared.data.tree import tree
from app.shared.labels import full_title, score
from app.shared.permalinks import link

_MOST = 60


def result_picker(path: str, run: str, classifier: str) -> dmc.Box:
    """The drop-down, with the best results first. path: the page to open."""
    shown = f"{run}.{classifier}"
    return dmc.Box(
        [
            dmc.Select(
                id={"type": "result-picker", "path": path},
                label="Result (type part of a name to search)",
                data=result_options(tree().index().results, "", shown),
                value=shown,
                searchable=True,
                allowDeselect=False,
                nothingFoundMessage="No matching result",
                maw=760,
            ),
            dcc.Store(id={"type": "result-shown", "path": path}, data=shown),
        ]
    )


def result_options(results: pd.DataFrame, search: str, shown: str) -> list[dict[str, str]]:
    """Options whose label contains the search text: the shown result, then the best by cross-validation."""
    there = best_first(results[results["run"] != ""])
    is_shown = (there["run"] + "." + there["classifier"]) == shown
    options = [_option(row) for row in there[is_shown].itertuples()]
    wanted = search.strip().lower()
    if any(wanted == one["label"].lower() for one in options):
        wanted = ""  # the drop-down copies the chosen label into its search field
    for row in there[~is_shown].itertuples():
        option = _option(row)
        if wanted in option["label"].lower():
            options.append(option)
        if len(options) > _MOST:
            break
    return options


def _option(row: Any) -> dict[str, str]:
    label = f"{full_title(row)} · {score(row.macro_f1)}"
    return {"value": f"{row.run}.{row.classifier}", "label": label}


@callback(
    Output({"type": "result-picker", "path": MATCH}, "data"),
    Input({"type": "result-picker", "path": MATCH}, "searchValue"),
    State({"type": "result-shown", "path": MATCH}, "data"),
    prevent_initial_call=True,
)
def _find(search: str | None, shown: str) -> list[dict[str, str]]:
    return result_options(tree().index().results, search or "", shown)


@callback(
    Output("_pages_location", "href", allow_duplicate=True),
    Input({"type": "result-picker", "path": ALL}, "value"),
    State({"type": "result-shown", "path": ALL}, "data"),
    prevent_initial_call=True,
)
def _open(values: list[str | None], shown: list[str]) -> Any:
    if not values or not values[0] or values == shown or not ctx.triggered_id:
        return dash.no_update
    run, _, classifier = values[0].partition(".")
    return link(ctx.triggered_id["path"], run=run, classifier=classifier)
