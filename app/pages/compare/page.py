"""Compare: settings, models and datasets against each other, and picked results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash
import dash_mantine_components as dmc
import pandas as pd
from dash import Input, Output, callback, dcc

from app.pages.compare.data.cells import best_by_model, cells, sorted_values, filter_rows
from app.pages.compare.parts.figures import ACROSS, FACETS, GROUPS, View, comparison_figure, heat_figure, value_label
from app.pages.compare.parts.missing import cautions, no_metric_message, no_heat_map_message
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

dash.register_page(__name__, path="/compare", name="Compare", order=1)

_LINE = "Which settings, models and SAEs do better, on which datasets, and whether by more than luck."
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
    """The page for what the URL says.

    x, colour, facet: what varies there. dataset, only: datasets and classifiers that are kept; none named is all.
    heat: what the heat map shows. pick: `<run>.<classifier>` of results to be set side by side.
    """
    index = tree().index()
    if index.results.empty:
        return page(
            "Compare", _LINE, _WORDS, [notice("There are no results yet: the page Runs says how to make some.")]
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
        "One result per mark. Where several results share a place, the one with the best cross-validation score is "
        "shown, whatever its test score; where none has one, the best on the test rows, which is said beside it. Bars "
        "are 95% intervals, which only macro-F1 has."
    )
    parts = [
        side_by_side(index, picks) if picks else None,
        section("Settings", [_in_columns(controls), dcc.Loading(dmc.Box(id="comparison", mih=300))], one_per_cell),
        section(
            "Models and datasets",
            [dmc.Group(_heat_switch(chosen(heat, list(_HEAT), "best"))), dmc.Box(id="heat-map")],
            "The SAE setting that cross-validation chooses for each model and dataset; without it, the test score.",
        ),
        section(
            "Wins of the best SAE setting over each baseline",
            [dmc.Box(id="win-rates")],
            "Both sides are chosen by cross-validation on each dataset, or by the test score where no result has that, "
            "then compared by test macro-F1. A win with separate intervals is more than luck of the test rows.",
        ),
    ]
    return page("Compare", _LINE, _WORDS, [part for part in parts if part is not None])


def _axes(view: View) -> list[Any]:
    """What is compared, and across what."""
    optional = {_NONE: "nothing"} | DIMENSIONS
    return [
        _select("metric", "Metric", METRICS, view.metric),
        _select("x", "Across", DIMENSIONS, view.x),
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
    return render_or_error(lambda: _heat_map(_table(datasets, only), chosen(metric, list(METRICS), "macro_f1"), how), "The map")


@callback(Output("win-rates", "children"), Input(state_id("dataset"), "value"), Input(state_id("only"), "value"))
def _wins(datasets: list[str], only: list[str]) -> Any:
    return render_or_error(lambda: win_table(_table(datasets, only)), "The win rates")


opens_on_click("comparison", "/run")


def _table(datasets: Sequence[str], only: Sequence[str]) -> pd.DataFrame:
    return filter_rows(tree().index().results, task=datasets or [], classifier=only or [])


def _view(table: pd.DataFrame, metric: Parameter, x: Parameter, colour: Parameter, facet: Parameter) -> View:
    """The view that is asked for; where nothing is, layers where there are several, else the sources of features."""
    layers = table["layer"].nunique() > 1
    optional = [_NONE, *DIMENSIONS]
    picked = chosen(colour, optional, "source" if layers else "classifier"), chosen(facet, optional, TASK)
    without = ["" if one == _NONE else one for one in picked]
    return View(
        chosen(metric, list(METRICS), "macro_f1"),
        chosen(x, list(DIMENSIONS), "layer" if layers else "source"),
        *without,
    )


def _comparison(table: pd.DataFrame, view: View) -> Any:
    if table.empty:
        return notice("No result is left: choose more datasets or classifiers.")
    found = cells(table[table[view.metric].notna()], view.keys)
    if found.rows.empty:
        return notice(no_metric_message(table, view.metric))
    parts: list[Any] = cautions(found.rows)
    if found.by_test:
        parts.append(
            notice(
                f"In {found.by_test} places several results stand without a cross-validation score (imported ones): "
                "the one with the best test score is shown, which is too good. Let colour or panel tell these apart."
            )
        )
    n_tasks = table[TASK].nunique()
    if TASK not in view.keys and n_tasks > 1:
        parts.append(
            notice(
                f"{n_tasks} datasets share the places, and a mark is of the one with the best score: easy datasets "
                "win. Give datasets a panel or a colour, or choose one.",
                color="orange",
            )
        )
    for column, most, what in ((view.facet, FACETS, "panels"), (view.colour, GROUPS, "colours")):
        if column and found.rows[column].nunique(dropna=False) > most:
            parts.append(
                notice(f"The first {most} {what} are drawn; choose datasets to see others. The table has all.")
            )
    label = f"{METRICS[view.metric]} by {DIMENSIONS[view.x]}; the table below has the same with links"
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
        number_column("n_results", "chosen from", width=125),
        text_column("chosen_by", "chosen by", width=150),
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
