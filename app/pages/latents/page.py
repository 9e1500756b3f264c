"""Page Latents: search, filter and sort all latents of an SAE."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
import pandas as pd
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc

from app.pages.latents.data.table import explanations_of, filtered, latent_table
from app.pages.latents.data.table_requests import apply_request
from app.pages.latents.parts.browser import ROW_FILTERS, browser, density_section
from app.shared.data.codes import CodeSet
from app.shared.data.defaults import default_sae
from app.shared.data.latents.summary import LEAST_ROWS
from app.shared.data.saes import Sae
from app.shared.data.tree import tree
from app.shared.labels import sae_title
from app.shared.parts.grid import filter_model, grid_id, records
from app.shared.parts.guard import render_or_error
from app.shared.parts.page import notice, page, placeholder
from app.shared.parts.sae_picker import chosen_codes, codes_select, sae_select
from app.shared.parts.state import hidden_inputs, options_of, state_id
from app.shared.permalinks import chosen
from saefari.errors import StoreError

dash.register_page(__name__, path="/latents", name="Latents")

_LINE = (
    "All latents of one SAE on one dataset split. A latent's class is the one with the highest lift among classes with "
    f"at least {LEAST_ROWS} rows in which it fires."
)
_WORDS = ["latent", "SAE", "explanation", "score", "density", "dead", "lift"]
_CONTROLS = (
    State(state_id("codes"), "value"),
    State(state_id("search"), "value"),
    State(state_id("show"), "value"),
    State(state_id("of"), "value"),
    State("latents-shown", "data"),
)
_WIDE = {"base": "100%", "sm": 230}


def layout(
    sae: str | None = None,
    codes: str | None = None,
    search: str = "",
    show: str = "all",
    of: str = "",
    sort: str = "",
    filters: str = "",
    **_: Any,
) -> Any:
    """Build the page from URL parameters.

    search: words of the name or the explanation. show: a key of ROW_FILTERS. of: part of a class's name. sort:
    `<column>:asc` or `:desc`. filters: the table's filter model, as JSON.
    """
    index = tree().index()
    if not index.saes:
        return _page([notice("There are no SAEs yet. The page Runs explains how to create results.")])
    one = index.saes.get(sae) if isinstance(sae, str) else default_sae(index)
    select = [
        sae_select("latents-sae", index.saes.values(), one),
        dcc.Store(id="latents-shown", data=one.id if one else ""),
    ]
    if one is None:
        return _page([*select, notice("There is no SAE with this id; choose one above.")])
    shown = chosen_codes(one, codes)
    if shown is None:
        message = f"The output tree has no codes of {sae_title(one)}, so its latents cannot be listed."
        return _page([*select, notice(message)])
    controls = [*select, codes_select(one, shown), *_filters(search, show, of)]
    return _page(
        [
            dmc.Group(controls, align="flex-end", gap="sm"),
            *hidden_inputs(sae=one.id, sort=sort, filters=filters),
            placeholder("latents-density"),
            dmc.Text(id="latents-count", size="sm", **{"aria-live": "polite"}),
            dmc.Box(browser(one, shown, explanations_of(one), sort, filter_model(filters)), id="latents-table"),
            dcc.Download(id="latents-download"),
        ]
    )


def _page(children: Any) -> Any:
    return page("Latents", _LINE, _WORDS, children)


def _filters(search: str, show: str, of: str) -> list[Any]:
    return [
        dmc.TextInput(
            id=state_id("search"), label="Search names and explanations", value=search, debounce=400, w=_WIDE
        ),
        dmc.Select(
            id=state_id("show"),
            label="Show",
            data=options_of(ROW_FILTERS),
            value=chosen(show, list(ROW_FILTERS), "all"),
            allowDeselect=False,
            w=_WIDE,
        ),
        dmc.TextInput(id=state_id("of"), label="Class contains", value=of, debounce=400, w=_WIDE),
    ]


@callback(Output("latents-density", "children"), Input(state_id("codes"), "value"), State("latents-shown", "data"))
def _density(codes: str, sae: str) -> Any:
    found = _found(sae, codes)
    return found and render_or_error(lambda: density_section(found[1]), "The densities")


@callback(
    Output(grid_id("latents"), "getRowsResponse"),
    Output("latents-count", "children"),
    Input(grid_id("latents"), "getRowsRequest"),
    *_CONTROLS,
    prevent_initial_call=True,
)
def _rows(request: dict[str, Any], *controls: str) -> Any:
    try:
        table, n_latents = _requested_rows(request or {}, *controls)
    except StoreError as error:
        return {"rowData": [], "rowCount": 0}, notice(str(error), color="orange")
    block = table.iloc[request["startRow"] : request["endRow"]]
    return {"rowData": records(block), "rowCount": len(table)}, f"{len(table):,} of {n_latents:,} latents"


@callback(
    Output("latents-download", "data"),
    Input("latents-csv", "n_clicks"),
    State(grid_id("latents"), "getRowsRequest"),
    *_CONTROLS,
    prevent_initial_call=True,
)
def _download(clicks: int | None, request: dict[str, Any] | None, *controls: str) -> Any:
    if not clicks:
        return dash.no_update
    try:
        table, _ = _requested_rows(request or {}, *controls)
    except StoreError:
        return dash.no_update  # the table shows the error
    return {"content": table.to_csv(index=False), "filename": "saefari-latents.csv", "type": "text/csv"}


def _requested_rows(
    request: dict[str, Any], codes: str, search: str, show: str, of: str, sae: str
) -> tuple[pd.DataFrame, int]:
    """(latents that pass the controls and the table's filters, sorted as in the table; total number of latents)."""
    found = _found(sae, codes)
    if found is None:
        raise StoreError("These codes are not in the output tree any more.")
    table = latent_table(*found, tree().index())
    return apply_request(filtered(table, search or "", show, of or ""), request), len(table)


def _found(sae: str, codes: str) -> tuple[Sae, CodeSet] | None:
    index = tree().index()
    if sae in index.saes and codes in index.code_sets:
        return index.saes[sae], index.code_sets[codes]
    return None


clientside_callback(
    ClientsideFunction("saefari", "reloadTable"),
    Output("latents-count", "title"),
    Input(state_id("codes"), "value"),
    Input(state_id("search"), "value"),
    Input(state_id("show"), "value"),
    Input(state_id("of"), "value"),
    State(grid_id("latents"), "id"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("saefari", "filtersAsText"),
    Output(state_id("filters"), "value", allow_duplicate=True),
    Input(grid_id("latents"), "filterModel"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("saefari", "sortAsText"),
    Output(state_id("sort"), "value"),
    Input(grid_id("latents"), "columnState"),
    State(state_id("sort"), "value"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("saefari", "openLatents"),
    Output("_pages_location", "href", allow_duplicate=True),
    Input("latents-sae", "value"),
    State("latents-shown", "data"),
    prevent_initial_call=True,
)
