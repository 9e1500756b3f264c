"""Latents: every latent of an SAE, to be searched, filtered and sorted."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
import pandas as pd
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc

from app.pages.latents.data.table import filtered, latent_table, explanations_of
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
from app.shared.parts.page import placeholder, notice, page
from app.shared.parts.sae_picker import chosen_codes, codes_select, sae_select
from app.shared.parts.state import options_of, hidden_inputs, state_id
from app.shared.permalinks import chosen
from saefari.errors import StoreError

dash.register_page(__name__, path="/latents", name="Latents", order=5)

_LINE = (
    "Every latent of one SAE on one dataset split. A latent's class is the one with the highest lift among those with "
    f"at least {LEAST_ROWS} rows in which it fires: fewer would be chance."
)
_WORDS = ["latent", "SAE", "explanation", "score", "density", "dead", "lift"]
_ASKED = (
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
    """The page for what the URL says.

    search: words of the explanation. show: a key of ROW_FILTERS. of: part of a class's name. sort: `<column>:asc` or
    `:desc`. filters: the table's own filters, as JSON.
    """
    index = tree().index()
    if not index.saes:
        return _page([notice("No run has encoded anything yet. The page Runs says how to make some results.")])
    one = index.saes.get(sae) if isinstance(sae, str) else default_sae(index)
    select = [
        sae_select("latents-sae", index.saes.values(), one),
        dcc.Store(id="latents-shown", data=one.id if one else ""),
    ]
    if one is None:
        return _page([*select, notice("There is no SAE of this id here; choose one above.")])
    shown = chosen_codes(one, codes)
    if shown is None:
        message = f"The output tree holds no codes of {sae_title(one)}, so nothing is known of its latents."
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
        dmc.TextInput(id=state_id("search"), label="Search in explanations", value=search, debounce=400, w=_WIDE),
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
    *_ASKED,
    prevent_initial_call=True,
)
def _rows(request: dict[str, Any], *asked: str) -> Any:
    try:
        table, n_latents = _asked_for(request or {}, *asked)
    except StoreError as error:
        return {"rowData": [], "rowCount": 0}, notice(str(error), color="orange")
    block = table.iloc[request["startRow"] : request["endRow"]]
    return {"rowData": records(block), "rowCount": len(table)}, f"{len(table):,} of {n_latents:,} latents"


@callback(
    Output("latents-download", "data"),
    Input("latents-csv", "n_clicks"),
    State(grid_id("latents"), "getRowsRequest"),
    *_ASKED,
    prevent_initial_call=True,
)
def _download(clicks: int | None, request: dict[str, Any] | None, *asked: str) -> Any:
    if not clicks:
        return dash.no_update
    try:
        table, _ = _asked_for(request or {}, *asked)
    except StoreError:
        return dash.no_update  # the table says why
    return {"content": table.to_csv(index=False), "filename": "saefari-latents.csv", "type": "text/csv"}


def _asked_for(
    request: dict[str, Any], codes: str, search: str, show: str, of: str, sae: str
) -> tuple[pd.DataFrame, int]:
    """(the latents that the controls and the table ask for, in the table's order; how many there are in all)."""
    found = _found(sae, codes)
    if found is None:
        raise StoreError("These codes are not here any more.")
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
