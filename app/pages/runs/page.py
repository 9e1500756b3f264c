"""Page Runs: the table of all results, and per dataset the best SAE setting against the best baseline."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
import pandas as pd
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc

from app.shared.data.selection import SaeAndBaseline, best_first, best_pairs, best_rows
from app.shared.data.tree import tree
from app.shared.labels import METRICS, result_title, score
from app.shared.parts.grid import filter_model, grid, grid_id, link_column, number_column, records, text_column
from app.shared.parts.missing import no_results
from app.shared.parts.page import page
from app.shared.parts.state import hidden_inputs, options_of, state_id
from app.shared.permalinks import chosen_many, link

dash.register_page(__name__, path="/runs", name="Runs")

GROUPS = {
    "dataset": "dataset",
    "model": "model",
    "source": "source",
    "layer": "layer",
    "width": "width",
    "pooling": "pooling",
    "top_n": "top-n",
    "binarize": "binarize",
    "select_k": "select k",
    "variant": "variant",
    "classifier": "classifier",
    "split": "split",
    "text_field": "text field",
    "config": "config",
    "model_type": "model type",
}
_WORDS = [
    "source", "baseline", "macro-F1", "CV macro-F1", "interval", "macro precision", "macro recall", "CV accuracy",
    "layer", "pooling", "top-n", "binarize", "caution",
]  # fmt: skip
_LAST_PART = {"function": "lastPart(params.value)"}
"""Show a model's name without its owner; filter and tooltip use the full name."""
_LINE = "All results of the output tree: one row per setting and classifier, with its scores on the test rows."


def layout(group: str | list[str] | None = None, filters: str = "", **_: Any) -> Any:
    """Build the page from URL parameters. group: columns to group by. filters: the table's filter model, as JSON."""
    index = tree().index()
    if index.results.empty:
        return page("Runs", _LINE, _WORDS, [no_results(tree().output, index.problems)])
    groups = chosen_many(group, list(GROUPS))
    controls = dmc.Group(
        [
            dmc.MultiSelect(
                id=state_id("group"),
                label="Group by",
                data=options_of(GROUPS),
                value=groups,
                placeholder="no grouping",
                clearable=True,
                w=360,
            ),
            dmc.Button("Compare the selected rows", id="compare-selected", variant="light"),
        ],
        align="flex-end",
    )
    table = dmc.Box(_table(index.results, groups, filters), id="runs-table")
    return page(
        "Runs", _LINE, _WORDS, [_tiles(best_pairs(index.results)), controls, table, *hidden_inputs(filters=filters)]
    )


@callback(
    Output("runs-table", "children"),
    Input(state_id("group"), "value"),
    State(state_id("filters"), "value"),
    prevent_initial_call=True,
)
def _regroup(groups: list[str], filters: str) -> Any:
    return _table(tree().index().results, groups or [], filters)


clientside_callback(
    ClientsideFunction("saefari", "filtersAsText"),
    Output(state_id("filters"), "value"),
    Input(grid_id("runs"), "filterModel"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("saefari", "compareSelected"),
    Output("_pages_location", "href"),
    Input("compare-selected", "n_clicks"),
    State(grid_id("runs"), "selectedRows"),
    prevent_initial_call=True,
)


def _table(results: pd.DataFrame, groups: list[str], filters: str) -> Any:
    rows = _grouped(results, groups) if groups else results
    extra = [number_column("n_results", "results", width=100)] if groups else []
    return grid(
        "runs",
        [
            link_column("open", "", "href", width=90, sortable=False, filter=False, pinned="left"),
            *extra,
            *_columns(rows),
        ],
        _records(rows),
        height="60vh",
        filterModel=filter_model(filters),
        dashGridOptions={
            "rowSelection": {"mode": "multiRow", "headerCheckbox": False},
            "pagination": True,
            "paginationPageSize": 100,
        },
    )


def _columns(results: pd.DataFrame) -> list[dict[str, Any]]:
    """All columns; variant and caution only if a result has one."""
    shown = [name for name in ("variant", "caution") if (results[name] != "").any()]
    return [
        text_column("dataset", width=200, tooltipField="dataset"),
        text_column("source", width=120),
        *([text_column("caution", width=200, tooltipField="caution")] if "caution" in shown else []),
        number_column("macro_f1", "macro-F1", 3, width=115),
        number_column("macro_f1_low", "95% from", 3, width=110),
        number_column("macro_f1_high", "to", 3, width=90),
        number_column("cv_macro_f1", "CV macro-F1", 3, width=150, sort="desc"),
        text_column("model", width=180, tooltipField="model", valueFormatter=_LAST_PART),
        number_column("layer", width=90),
        text_column("width", width=90),
        text_column("pooling", width=100),
        number_column("top_n", "top-n", width=90),
        number_column("binarize", width=100),
        number_column("select_k", "select k", width=100),
        *([text_column("variant", width=150, tooltipField="variant")] if "variant" in shown else []),
        text_column("classifier", width=110),
        text_column("trained_on", "trained on", width=130, tooltipField="trained_on"),
        *(number_column(name, METRICS[name], 3, width=130) for name in METRICS if "macro_f1" not in name),
        number_column("n_train", "training rows", 0, width=130),
        number_column("n_test", "test rows", 0, width=110),
        number_column("n_features", "features", 0, width=110),
        number_column("seconds", "seconds", 2, width=110),
        text_column("config", width=110),
        text_column("split", width=100),
        text_column("text_field", "text field", width=120),
        text_column("model_type", "model type", width=110),
    ]


def _grouped(results: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """The best row of each group (see `best_rows`), with the group's number of results."""
    sizes = results.groupby(groups, dropna=False).size().rename("n_results").reset_index()
    return best_rows(results, groups).merge(sizes, on=groups, how="left")


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    ordered = best_first(rows)  # the table's stable sort keeps this order for rows without a cross-validation score
    links = [
        link("/run", run=run, classifier=name) if run else ""
        for run, name in zip(ordered.run, ordered.classifier, strict=True)
    ]
    shown = ordered.drop(columns="folder").assign(href=links, open=["open" if one else "" for one in links])
    return records(shown)


def _tiles(found: list[SaeAndBaseline]) -> Any:
    return dmc.SimpleGrid([_tile(pair) for pair in found], cols={"base": 1, "sm": 2, "lg": 3}, spacing="sm")


def _tile(pair: SaeAndBaseline) -> Any:
    """Best SAE setting against best baseline of one dataset."""
    verdict, colour = "no pair to compare", "gray"
    if pair.difference is not None:
        verdict = f"SAE {pair.difference:+.3f}"
        verdict += {True: ", intervals overlap", False: ", intervals separate", None: ""}[pair.overlap]
        verdict += ", selected by test score" if pair.by_test else ""
        is_separate = pair.overlap is False
        colour = ("teal" if pair.difference > 0 else "orange") if is_separate else "gray"
    title = dmc.Text(pair.dataset, fw=700)
    head = dmc.Group([title, dmc.Badge(verdict, color=colour, variant="light", tt="none")], justify="space-between")
    lines = dmc.Stack([head, _side(pair.sae), _side(pair.baseline)], gap=4)
    return dmc.Paper(lines, withBorder=True, p="sm", radius="md")


def _side(row: pd.Series | None) -> Any:
    if row is None:
        return dmc.Text("–", size="sm", c="dimmed")
    number = dmc.Text(score(row.macro_f1, row.macro_f1_low, row.macro_f1_high), size="sm", fw=600, span=True)
    title = result_title(row)
    named = dcc.Link(title, href=link("/run", run=row.run, classifier=row.classifier)) if row.run else title
    return dmc.Text([number, " ", named], size="sm")
