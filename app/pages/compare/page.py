"""Page Compare: settings, models and datasets in comparison, and selected results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash
import dash_mantine_components as dmc
import pandas as pd
from dash import Input, Output, callback, dcc

from app.pages.compare.data.cells import best_by_model, best_per_cell, filter_rows, sorted_values
from app.pages.compare.parts.figures import ACROSS, FACETS, GROUPS, View, comparison_figure, heat_figure, value_label
from app.pages.compare.parts.missing import cautions, no_heat_map_message, no_metric_message
from app.pages.compare.parts.side_by_side import side_by_side
from app.pages.compare.parts.wins import win_table
from app.shared.data.selection import SAE, TASK
from app.shared.data.tree import tree
from app.shared.labels import METRICS, result_title
from app.shared.parts.figure import graph, opens_on_click
from app.shared.parts.grid import grid, link_column, number_column, text_column
from app.shared.parts.guard import render_or_error
from app.shared.parts.page import notice, page, section, wide
from app.shared.parts.state import options_of, state_id
from app.shared.permalinks import Parameter, chosen, chosen_many, link

dash.register_page(__name__, path="/compare", name="Compare")

_LINE = "Comparison of settings, models and SAEs across datasets, with the uncertainty of the scores."
_WORDS = [
    "macro-F1", "CV macro-F1", "interval", "macro precision", "macro recall", "accuracy", "CV accuracy", "ROC AUC",
    "source", "baseline", "win rate", "layer", "pooling", "top-n", "binarize", "caution",
]  # fmt: skip
DIMENSIONS = {
    "layer": "layer",
    "width": "width",
    "top_n": "top-n",
    "pooling": "pooling",
    "binarize": "binarize",
    "select_k": "select k",
    "source": "source",
    "model": "model",
    "variant": "variant",
    TASK: "dataset",
    "classifier": "classifier",
}
_NONE = "none"
_HEAT = {"best": "best SAE", "difference": "best SAE minus best baseline"}


def layout(
    metric: Parameter = None,
    x: Parameter = None,
    colour: Parameter = None,
    facet: Parameter = None,
    dataset: Parameter = None,
    only: Parameter = None,
    heat: Parameter = None,
    pick: Parameter = None,
    **_: Any,
) -> Any:
    """Build the page from URL parameters.

    x, colour, facet: columns on the axis, colours and panels. dataset, only: datasets and classifiers to keep; none
    means all. heat: content of the heat map. pick: `<run>.<classifier>` of results to show side by side.
    """
    index = tree().index()
    if index.results.empty:
        return page(
            "Compare", _LINE, _WORDS, [notice("There are no results yet. The page Runs explains how to create them.")]
        )
    table = index.results
    tasks = {task: task for task in sorted_values(list(table[TASK]))}
    classifiers = {name: name for name in sorted_values(list(table["classifier"]))}
    controls = [
        *_axes(_view(table, metric, x, colour, facet)),
        _filter("dataset", "Datasets", tasks, chosen_many(dataset, list(tasks))),
        _filter("only", "Classifiers", classifiers, chosen_many(only, list(classifiers))),
    ]
    picks = [pick] if isinstance(pick, str) else pick or []
    one_per_cell = (
        "One result per mark: of several candidates, the one with the best cross-validation score, or without such "
        "scores the best on the test rows, which is marked. Bars are 95% intervals (macro-F1 only)."
    )
    parts = [
        side_by_side(index, picks) if picks else None,
        section("Settings", [_in_columns(controls), dcc.Loading(dmc.Box(id="comparison", mih=300))], one_per_cell),
        section(
            "Models and datasets",
            [dmc.Group(_heat_switch(chosen(heat, list(_HEAT), "best"))), dmc.Box(id="heat-map")],
            "The best SAE setting for each model and dataset by cross-validation, or by test score without it.",
        ),
        section(
            "Wins of the best SAE setting over each baseline",
            [dmc.Box(id="win-rates")],
            "On each dataset, both sides are selected by cross-validation (by test score if no result has that) and "
            "compared by test macro-F1. A win with separate intervals is unlikely to be chance.",
        ),
    ]
    return page("Compare", _LINE, _WORDS, [part for part in parts if part is not None])


def _axes(view: View) -> list[Any]:
    """Controls for metric, axis, colours and panels."""
    optional = {_NONE: "nothing"} | DIMENSIONS
    return [
        _select("metric", "Metric", METRICS, view.metric),
        _select("x", "Horizontal axis", DIMENSIONS, view.x),
        _select("colour", "Colour", optional, view.colour or _NONE),
        _select("facet", "One panel per", optional, view.facet or _NONE),
    ]


def _in_columns(controls: list[Any]) -> Any:
    return dmc.SimpleGrid(controls, cols={"base": 1, "xs": 2, "lg": 3}, spacing="sm")


def _heat_switch(how: str) -> Any:
    return dmc.SegmentedControl(
        id=state_id("heat"),
        value=how,
        data=options_of(_HEAT),
        orientation="horizontal",
        **{"aria-label": "What the heat map shows"},
    )


@callback(
    Output("comparison", "children"),
    Input(state_id("metric"), "value"),
    Input(state_id("x"), "value"),
    Input(state_id("colour"), "value"),
    Input(state_id("facet"), "value"),
    Input(state_id("dataset"), "value"),
    Input(state_id("only"), "value"),
)
def _compare(metric: str, x: str, colour: str, facet: str, datasets: list[str], only: list[str]) -> Any:
    table = _table(datasets, only)
    return render_or_error(lambda: _comparison(table, _view(table, metric, x, colour, facet)), "The comparison")


@callback(
    Output("heat-map", "children"),
    Input(state_id("heat"), "value"),
    Input(state_id("metric"), "value"),
    Input(state_id("dataset"), "value"),
    Input(state_id("only"), "value"),
)
def _heat(how: str, metric: str, datasets: list[str], only: list[str]) -> Any:
    return render_or_error(
        lambda: _heat_map(_table(datasets, only), chosen(metric, list(METRICS), "macro_f1"), how), "The map"
    )


@callback(Output("win-rates", "children"), Input(state_id("dataset"), "value"), Input(state_id("only"), "value"))
def _wins(datasets: list[str], only: list[str]) -> Any:
    return render_or_error(lambda: win_table(_table(datasets, only)), "The win rates")


opens_on_click("comparison", "/run")


def _table(datasets: Sequence[str], only: Sequence[str]) -> pd.DataFrame:
    return filter_rows(tree().index().results, task=datasets or [], classifier=only or [])


def _view(table: pd.DataFrame, metric: Parameter, x: Parameter, colour: Parameter, facet: Parameter) -> View:
    """The requested view; by default layers on the axis if there are several, else feature sources."""
    layers = table["layer"].nunique() > 1
    optional = [_NONE, *DIMENSIONS]
    selected = chosen(colour, optional, "source" if layers else "classifier"), chosen(facet, optional, TASK)
    colour_and_facet = ["" if one == _NONE else one for one in selected]
    return View(
        chosen(metric, list(METRICS), "macro_f1"),
        chosen(x, list(DIMENSIONS), "layer" if layers else "source"),
        *colour_and_facet,
    )


def _comparison(table: pd.DataFrame, view: View) -> Any:
    if table.empty:
        return notice("No results match: choose more datasets or classifiers.")
    found = best_per_cell(table[table[view.metric].notna()], view.keys)
    if found.rows.empty:
        return notice(no_metric_message(table, view.metric))
    parts: list[Any] = cautions(found.rows)
    if found.by_test:
        parts.append(
            notice(
                f"{found.by_test} marks combine several results without cross-validation scores (imported ones). The "
                "best test score is shown, which is biased upwards. Separate these results by colour or panel."
            )
        )
    n_tasks = table[TASK].nunique()
    if TASK not in view.keys and n_tasks > 1:
        parts.append(
            notice(
                f"Marks combine {n_tasks} datasets and show the one with the best score, which favours easy datasets. "
                "Separate datasets by panel or colour, or choose one.",
                color="orange",
            )
        )
    for column, most, what in ((view.facet, FACETS, "panels"), (view.colour, GROUPS, "colours")):
        if column and found.rows[column].nunique(dropna=False) > most:
            parts.append(
                notice(f"Only the first {most} {what} are drawn; choose datasets to see others. The table lists all.")
            )
    label = f"{METRICS[view.metric]} by {DIMENSIONS[view.x]}; the table below lists the same results with links"
    drawing = graph("comparison", comparison_figure(found.rows, view, METRICS | DIMENSIONS), label)
    panels = min(ACROSS, found.rows[view.facet].nunique(dropna=False)) if view.facet else 1
    return dmc.Stack([*parts, wide(drawing, 280 * panels), _cells_table(found.rows, view)])


def _cells_table(rows: pd.DataFrame, view: View) -> dmc.Stack:
    records = [
        {f"key_{key}": value_label(key, getattr(row, key)) for key in view.keys}
        | {"title": result_title(row), "href": link("/run", run=row.run, classifier=row.classifier) if row.run else ""}
        | {name: _number(getattr(row, name)) for name in {*METRICS, "macro_f1_low", "macro_f1_high", "n_results"}}
        | {"caution": row.caution}
        | {"chosen_by": "" if row.n_results == 1 else "test score" if row.by_test else "cross-validation"}
        for row in rows.itertuples()
    ]
    columns = [
        text_column(f"key_{key}", DIMENSIONS[key], width=240 if key == TASK else 130, tooltipField=f"key_{key}")
        for key in dict.fromkeys(view.keys)
    ]
    if (rows["caution"] != "").any():
        columns.append(text_column("caution", width=200, tooltipField="caution"))
    columns += [
        number_column("macro_f1", "macro-F1", 3, width=120),
        number_column("macro_f1_low", "95% from", 3, width=115),
        number_column("macro_f1_high", "to", 3, width=90),
        number_column("cv_macro_f1", "CV macro-F1", 3, width=140),
        *(number_column(name, METRICS[name], 3, width=140) for name in METRICS if "macro_f1" not in name),
        number_column("n_results", "candidates", width=125),
        text_column("chosen_by", "selected by", width=150),
        link_column("title", "result", "href", flex=1, minWidth=320),
    ]
    return grid("comparison", columns, records, height=460)


def _heat_map(table: pd.DataFrame, metric: str, how: str) -> Any:
    values = best_by_model(table, metric, how == "difference")
    if values.isna().all(axis=None):
        return notice(no_heat_map_message(table, metric))
    label = f"{METRICS[metric]} of {_HEAT[chosen(how, list(_HEAT), 'best')]}, models by datasets"
    drawing = graph("heat", heat_figure(values, how == "difference"), label)
    return dmc.Stack([*cautions(table[table["source"] == SAE]), wide(drawing, 240 + 90 * len(values.columns))])


def _select(name: str, label: str, options: dict[str, str], value: str) -> dmc.Select:
    return dmc.Select(id=state_id(name), label=label, data=options_of(options), value=value, allowDeselect=False)


def _filter(name: str, label: str, options: dict[str, str], value: list[str]) -> dmc.MultiSelect:
    return dmc.MultiSelect(
        id=state_id(name),
        label=label,
        data=options_of(options),
        value=value,
        placeholder="" if value else "all",
        searchable=True,
        clearable=True,
    )


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
