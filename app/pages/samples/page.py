"""Page Samples: the test rows of a result, a map of them, and the reasons for one prediction."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc

from app.pages.samples.data.map import METHODS, draw_map, methods
from app.pages.samples.parts.map import map_figure, map_section
from app.pages.samples.parts.panel import (
    DEFAULT_CLASS,
    STRONGEST,
    coloured_part,
    facts_part,
    latent_options,
    others_part,
    reasons_part,
    runner_up_options,
)
from app.pages.samples.parts.rows_list import (
    FILTER_NAMES,
    count_text,
    filter_controls,
    filters_of,
    listed,
    samples_table,
)
from app.pages.samples.parts.token import token_choice, token_options, token_part
from app.shared.data.one_result import OneResult, find_result, requested_result
from app.shared.data.samples.evidence import EVIDENCE
from app.shared.data.samples.rows import find_rows, matching
from app.shared.data.samples.selection import find_selected
from app.shared.data.tree import Index, tree
from app.shared.labels import result_title
from app.shared.parts.figure import graph_id
from app.shared.parts.grid import grid_id
from app.shared.parts.guard import DATA_ERRORS, render_or_error
from app.shared.parts.page import notice, page, placeholder, section
from app.shared.parts.result_picker import result_picker
from app.shared.parts.state import RUN_STATE, hidden_inputs, state_id
from app.shared.permalinks import chosen, link, parse_integer
from saefari.errors import StoreError

dash.register_page(__name__, path="/samples", name="Samples")

_LINE = "The test rows of a result: which are classified correctly, and why each one is classified as it is."
_WORDS = [
    "feature", "latent", "token", "patch", "explanation", "contribution", "logit", "weight", "decision tree",
    "hidden state", "SAE", "baseline", "pooling", "PCA",
]  # fmt: skip
_FILTER_INPUTS = [Input(state_id(name), "value") for name in FILTER_NAMES]
_ROW = Input(state_id("row"), "value")
_TOKEN = Input(state_id("token"), "value")


def layout(run: str = "", classifier: str = "", **parameters: Any) -> Any:
    """Build the page from URL parameters.

    parameters: row, latent, token, against; the filters; space, method and colour of the map.
    """
    index = tree().index()
    try:
        result = requested_result(index, run, classifier)
    except StoreError as error:
        return page("Samples", _LINE, _WORDS, [notice(str(error))])
    parts = render_or_error(lambda: _parts(index, result, parameters), "The test rows")
    picker = dmc.Stack([result_picker("/samples", result.run, result.classifier), _heading(result)], gap="xs")
    return page("Samples", _LINE, _WORDS, [picker, *(parts if isinstance(parts, list) else [parts])])


def _parts(index: Index, result: OneResult, parameters: dict[str, Any]) -> list[Any]:
    rows = find_rows(result)
    filters = filters_of([parameters.get(name) for name in FILTER_NAMES], rows.classes)
    places = matching(rows, filters)
    row = parse_integer(parameters.get("row"))
    if row is None and len(places):
        row = int(rows.rows[places[0]])
    listing = section(
        "Test rows",
        [
            filter_controls(filters, rows),
            dmc.Text(count_text(rows, places, filters), id="samples-found", size="sm"),
            samples_table(rows, places, row),
        ],
        "Select a row to see below why it was classified this way.",
    )
    halves = [(listing, 7), (map_section(index, result, rows, parameters), 5)]
    return [
        *([notice(rows.without_texts, "No texts", "orange")] if rows.without_texts else []),
        dmc.Grid([dmc.GridCol(part, span={"base": 12, "lg": span}) for part, span in halves]),
        *_sample_sections(result, parameters, bool(rows.views)),
        *hidden_inputs(run=result.run, classifier=result.classifier, row="" if row is None else str(row)),
    ]


def _heading(result: OneResult) -> Any:
    row = result.row
    href = link("/run", run=result.run, classifier=result.classifier)
    return dmc.Text([dmc.Text(row.task, fw=700, span=True), ": ", dcc.Link(result_title(row), href=href)])


def _sample_sections(result: OneResult, parameters: dict[str, Any], with_images: bool) -> list[Any]:
    latent = parse_integer(parameters.get("latent"))
    against = chosen(parameters.get("against"), result.classes, DEFAULT_CLASS)
    steps = dmc.Group(
        [
            dmc.Button("Previous row", id="samples-previous", variant="default", size="xs"),
            dmc.Button("Next row", id="samples-next", variant="default", size="xs"),
        ]
    )
    colour_by = dmc.Select(
        id=state_id("latent"),
        label="Colour the image by" if with_images else "Colour the text by",
        data=[],
        value=chosen(parameters.get("latent"), [EVIDENCE], STRONGEST) if latent is None else str(latent),
        searchable=True,
        allowDeselect=False,
        maw=460,
    )
    choices = dmc.SimpleGrid(
        [colour_by, token_choice(parse_integer(parameters.get("token")))], cols={"base": 1, "sm": 2}
    )
    text = [
        dmc.Box(choices, id="sample-latents", display="none"),
        placeholder("sample-text", 60),
        placeholder("sample-token", 0),
    ]
    columns = [(dmc.Stack(text), 8), (placeholder("sample-facts", 200), 4)]
    compare_with = dmc.Select(
        id=state_id("against"),
        label="Compare with class",
        data=[{"value": against, "label": against}],
        value=against,
        searchable=True,
        allowDeselect=False,
        maw=460,
    )
    is_probe = result.classifier == "linear"
    return [
        section(
            "Sample", [steps, dmc.Grid([dmc.GridCol(part, span={"base": 12, "md": span}) for part, span in columns])]
        ),
        section(
            "Why this prediction",
            [dmc.Box(compare_with, display="block" if is_probe else "none"), placeholder("sample-reasons", 200)],
            "Contributions (weight × scaled value of a feature); with the intercept they sum to the class's logit."
            if is_probe
            else "",
        ),
        section(
            "Predictions of the baselines",
            [placeholder("sample-others", 100)],
            "The best result of each other source on this dataset, by cross-validation.",
        ),
    ]


@callback(
    Output(grid_id("samples"), "rowData"),
    Output("samples-found", "children"),
    *_FILTER_INPUTS,
    *RUN_STATE,
    prevent_initial_call=True,
)
def _find(*state: Any) -> Any:
    *controls, run, classifier = state
    try:
        rows = find_rows(find_result(tree().index(), run, classifier))
    except DATA_ERRORS as error:
        return [], str(error)
    filters = filters_of(controls, rows.classes)
    places = matching(rows, filters)
    return listed(rows, places), count_text(rows, places, filters)


@callback(
    Output(graph_id("samples-map"), "figure"),
    Output("samples-map-problem", "children"),
    *(Input(state_id(name), "value") for name in ("space", "method", "colour")),
    _ROW,
    *_FILTER_INPUTS,
    *RUN_STATE,
)
def _draw(space: str, method: str, colour: str, row: Any, *state: Any) -> Any:
    *controls, run, classifier = state
    try:
        index = tree().index()
        result = find_result(index, run, classifier)
        rows = find_rows(result)
        drawn = draw_map(index, result, rows, space, chosen(method, methods(), "pca"))
    except DATA_ERRORS as error:
        return dash.no_update, notice(str(error), color="orange")
    kept = matching(rows, filters_of(controls, rows.classes))
    figure = map_figure(drawn, rows, kept, colour, parse_integer(row), METHODS[chosen(method, methods(), "pca")])
    return figure, None


clientside_callback(
    ClientsideFunction("saefari", "pickSample"),
    Output(state_id("row"), "value"),
    Output(grid_id("samples"), "selectedRows"),
    Output(grid_id("samples"), "scrollTo"),
    Output(graph_id("samples-map"), "clickData"),
    Output(state_id("token"), "value"),
    Input(grid_id("samples"), "selectedRows"),
    Input(graph_id("samples-map"), "clickData"),
    Input("samples-previous", "n_clicks"),
    Input("samples-next", "n_clicks"),
    State(grid_id("samples"), "virtualRowData"),
    State(state_id("row"), "value"),
    prevent_initial_call=True,
)


@callback(Output("sample-facts", "children"), _ROW, *RUN_STATE)
def _show_facts(row: Any, run: str, classifier: str) -> Any:
    return render_or_error(lambda: facts_part(find_selected(run, classifier, parse_integer(row))), "The row")


@callback(
    Output(state_id("latent"), "data"),
    Output("sample-latents", "display"),
    _ROW,
    State(state_id("latent"), "value"),
    *RUN_STATE,
)
def _offer_latents(row: Any, latent: str, run: str, classifier: str) -> Any:
    try:
        options = latent_options(find_selected(run, classifier, parse_integer(row)), latent)
    except DATA_ERRORS:
        options = []
    return options, "block" if options else "none"


@callback(Output("sample-text", "children"), _ROW, Input(state_id("latent"), "value"), _TOKEN, *RUN_STATE)
def _colour(row: Any, latent: str, token: Any, run: str, classifier: str) -> Any:
    place = parse_integer(token)
    return render_or_error(
        lambda: coloured_part(find_selected(run, classifier, parse_integer(row)), latent, place), "The text"
    )


@callback(Output(state_id("token"), "data"), _ROW, State(state_id("token"), "value"), *RUN_STATE)
def _offer_tokens(row: Any, token: Any, run: str, classifier: str) -> Any:
    try:
        return token_options(find_selected(run, classifier, parse_integer(row)), parse_integer(token))
    except DATA_ERRORS:
        return []


@callback(Output("sample-token", "children"), _ROW, _TOKEN, *RUN_STATE)
def _show_token(row: Any, token: Any, run: str, classifier: str) -> Any:
    place = parse_integer(token)
    return render_or_error(
        lambda: token_part(find_selected(run, classifier, parse_integer(row)), place), "The token's latents"
    )


@callback(Output(state_id("against"), "data"), _ROW, *RUN_STATE)
def _offer_classes(row: Any, run: str, classifier: str) -> Any:
    try:
        return runner_up_options(find_selected(run, classifier, parse_integer(row)))
    except DATA_ERRORS:
        return dash.no_update


@callback(Output("sample-reasons", "children"), _ROW, Input(state_id("against"), "value"), *RUN_STATE)
def _explain(row: Any, against: str, run: str, classifier: str) -> Any:
    return render_or_error(
        lambda: reasons_part(find_selected(run, classifier, parse_integer(row)), against), "The reasons"
    )


@callback(Output("sample-others", "children"), _ROW, *RUN_STATE)
def _show_baselines(row: Any, run: str, classifier: str) -> Any:
    return render_or_error(
        lambda: others_part(find_selected(run, classifier, parse_integer(row))), "The predictions of the baselines"
    )
