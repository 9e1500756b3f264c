"""Page Run: one result with its scores, features and provenance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, callback, clientside_callback, dcc

from app.pages.run.data.scores import candidates, class_rows, confused_pairs, confusion, roc_areas
from app.pages.run.parts.features_section import features_section
from app.pages.run.parts.score_figures import confusion_figure, confusion_width, describe, folds_figure, roc_figure
from app.pages.run.parts.summary import provenance, remarks, tiles
from app.pages.run.parts.tree_section import tree_section
from app.shared.data.baselines import best_baseline
from app.shared.data.one_result import OneResult, classifiers_of, find_result, requested_result
from app.shared.data.tree import Index, tree
from app.shared.labels import result_title
from app.shared.parts.figure import graph, graph_id
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.guard import DATA_ERRORS, render_or_error
from app.shared.parts.page import notice, page, placeholder, section, wide
from app.shared.parts.result_picker import result_picker
from app.shared.parts.state import RUN_STATE, hidden_inputs, state_id
from app.shared.permalinks import Parameter, chosen, chosen_many, link
from saefari.errors import StoreError

dash.register_page(__name__, path="/run", name="Run")

_LINE = "One result: its scores, errors, top features and provenance."
_WORDS = [
    "macro-F1", "CV macro-F1", "interval", "macro precision", "macro recall", "accuracy", "CV accuracy", "ROC AUC",
    "caution", "confusion matrix", "feature", "latent", "weight", "importance", "decision tree", "density",
    "explanation", "provenance",
]  # fmt: skip
_CURVES = 8
_REST_PARAMETERS = Input("run-rest-parameters", "data")
_CELLS = {"count": "rows", "share": "% of the true class"}


def layout(
    run: str = "",
    classifier: str = "",
    cells: Parameter = None,
    curves: Parameter = None,
    shown_class: Parameter = None,
    collapsed: Parameter = None,
    **_: Any,
) -> Any:
    """Build the page from URL parameters.

    cells: `count` or `share` in the confusion matrix. curves: classes with a ROC curve. shown_class: class of the top
    features. collapsed: numbers of the tree's collapsed nodes.
    """
    index = tree().index()
    try:
        result = requested_result(index, run, classifier)
    except StoreError as error:
        return page("Run", _LINE, _WORDS, [notice(str(error))])
    parameters = {"curves": curves, "shown_class": shown_class, "collapsed": collapsed}
    parts = [
        dmc.Stack([result_picker("/run", result.run, result.classifier), _heading(index, result)], gap="xs"),
        render_or_error(lambda: tiles(result), "The scores"),
        render_or_error(lambda: remarks(result.record), "The remarks"),
        _section(
            "Confusion matrix", lambda: _confusion(result, cells), "Rows: true classes; columns: predicted classes."
        ),
        dcc.Loading(dmc.Stack(id="run-rest", mih=400)),
        *hidden_inputs(run=result.run, classifier=result.classifier),
        dcc.Store(id="run-parameters", data=parameters),
        dcc.Store(id="run-rest-parameters"),
    ]
    return page("Run", _LINE, _WORDS, [part for part in parts if part is not None])


clientside_callback(
    ClientsideFunction("saefari", "afterFiguresDrawn"),
    Output("run-rest-parameters", "data"),
    Input("run-parameters", "data"),
)


@callback(Output("run-rest", "children"), _REST_PARAMETERS, *RUN_STATE, prevent_initial_call=True)
def _rest(parameters: dict[str, Parameter], run: str, classifier: str) -> Any:
    """Sections below the first screen, built after it is drawn, so that they do not delay its figure."""
    try:
        index = tree().index()
        result = find_result(index, run, classifier)
    except StoreError as error:
        return notice(str(error))
    has_tree = "nodes" in result.scores
    return [
        _section("ROC curves", lambda: _roc(result, parameters["curves"]), "Each class against all others."),
        _section("Scores per class", lambda: _classes(result)),
        _section("Top features", lambda: features_section(result, parameters["shown_class"])),
        *(
            [_section("Decision tree", lambda: tree_section(index, result, parameters["collapsed"]))]
            if has_tree
            else []
        ),
        _section("Cross-validation", lambda: _folds(result), "On the training rows; it selects the hyperparameters."),
        _section("Provenance", lambda: provenance(result)),
    ]


def _section(title: str, build: Callable[[], list[Any]], line: str = "") -> Any:
    children = render_or_error(build, title)
    return section(title, children if isinstance(children, list) else [children], line)


def _heading(index: Index, result: OneResult) -> Any:
    """Title of the result, and links to related pages and to its other classifiers."""
    row = result.row
    baseline = best_baseline(index.results, row)
    ids = {"run": result.run, "classifier": result.classifier}
    links = [("All runs", "/runs"), ("Samples", link("/samples", **ids)), ("Try it", link("/try", **ids))]
    if baseline is not None and (baseline.run, baseline.classifier) != (result.run, result.classifier):
        pair = [f"{result.run}.{result.classifier}", f"{baseline.run}.{baseline.classifier}"]
        links.append(("Compare with the best baseline", link("/compare", pick=pair)))
    others = [name for name in classifiers_of(index, result.run) if name != result.classifier]
    links += [(f"Other classifier: {name}", link("/run", run=result.run, classifier=name)) for name in others]
    return dmc.Stack(
        [
            dmc.Text([dmc.Text(row.task, fw=700, span=True), f": {result_title(row)}"]),
            dmc.Group([dcc.Link(name, href=href) for name, href in links], gap="lg"),
        ],
        gap=4,
    )


def _confusion(result: OneResult, cells: Parameter) -> list[Any]:
    matrix = confusion(result.scores, result.classes)
    if matrix is None:
        return [notice("This result has no confusion matrix.")]
    how = chosen(cells, list(_CELLS), "count")
    switch = dmc.SegmentedControl(
        id=state_id("cells"),
        value=how,
        data=[{"value": value, "label": label} for value, label in _CELLS.items()],
        **{"aria-label": "What the cells show"},
    )
    drawing = graph("confusion", confusion_figure(matrix, result.classes, how == "share"), "Confusion matrix")
    table = dmc.Stack([dmc.Text("Most frequent confusions", fw=600, size="sm"), placeholder("run-confused")], gap=4)
    many = confusion_width(len(result.classes)) > 520
    return [
        dmc.Group(switch),
        dmc.Grid(
            [
                dmc.GridCol(
                    wide(drawing, confusion_width(len(result.classes))), span={"base": 12, "lg": 12 if many else 7}
                ),
                dmc.GridCol(table, span={"base": 12, "lg": 12 if many else 5}),
            ]
        ),
    ]


@callback(
    Output("run-confused", "children"), Input("run-rest-parameters", "data"), *RUN_STATE, prevent_initial_call=True
)
def _confused(_: Any, run: str, classifier: str) -> Any:
    return render_or_error(lambda: _confused_table(find_result(tree().index(), run, classifier)), "The table")


def _confused_table(result: OneResult) -> Any:
    matrix = confusion(result.scores, result.classes)
    columns = [
        text_column("true", flex=1),
        text_column("predicted", flex=1),
        number_column("rows", width=90),
        number_column("share", "share of true", 3, width=130),
    ]
    return None if matrix is None else grid("confused", columns, confused_pairs(matrix, result.classes), height=360)


@callback(
    Output(graph_id("confusion"), "figure"),
    Input(state_id("cells"), "value"),
    *RUN_STATE,
    prevent_initial_call=True,
)
def _switch_cells(how: str, run: str, classifier: str) -> Any:
    try:
        result = find_result(tree().index(), run, classifier)
        matrix = confusion(result.scores, result.classes)
    except DATA_ERRORS:
        return dash.no_update
    return dash.no_update if matrix is None else confusion_figure(matrix, result.classes, how == "share")


def _roc(result: OneResult, curves: Parameter) -> list[Any]:
    areas = roc_areas(result.scores)
    if not areas:
        return [notice("This result has no ROC curves.")]
    hardest = sorted(areas, key=lambda name: areas[name])
    shown = chosen_many(curves, hardest)[:_CURVES] or hardest[:_CURVES]
    pick = dmc.MultiSelect(
        id=state_id("curves"),
        label=f"Classes (at most {_CURVES}; lowest AUC first)",
        data=[{"value": name, "label": f"{name} ({areas[name]:.3f})"} for name in hardest],
        value=shown,
        maxValues=_CURVES,
        searchable=True,
    )
    drawing = roc_figure(result.scores["roc"], areas, shown, result.scores.get("roc_micro"))
    return [pick, graph("roc", drawing, "ROC curves of the chosen classes")]


@callback(
    Output(graph_id("roc"), "figure"),
    Input(state_id("curves"), "value"),
    *RUN_STATE,
    prevent_initial_call=True,
)
def _choose_curves(names: list[str], run: str, classifier: str) -> Any:
    try:
        result = find_result(tree().index(), run, classifier)
        areas = roc_areas(result.scores)
    except DATA_ERRORS:
        return dash.no_update
    chosen_names = chosen_many(names, list(areas))[:_CURVES]
    return roc_figure(result.scores["roc"], areas, chosen_names, result.scores.get("roc_micro"))


def _classes(result: OneResult) -> list[Any]:
    rows = class_rows(result.scores, result.classes)
    if not rows:
        return [notice("This result has no scores per class.")]
    columns = [
        text_column("class", flex=2, minWidth=160),
        number_column("precision", digits=3, flex=1),
        number_column("recall", digits=3, flex=1),
        number_column("f1", "F1", 3, flex=1),
        number_column("support", "test rows", flex=1),
        number_column("roc_auc", "ROC AUC", 3, flex=1),
    ]
    return [grid("classes", columns, rows, height=480)]


def _folds(result: OneResult) -> list[Any]:
    held = result.scores.get("cross_validation") or {}
    name, mean, folds = "macro-F1", held.get("macro_f1"), held.get("folds") or []
    if not folds and held.get("accuracy_folds"):
        name, mean, folds = "accuracy", held.get("accuracy"), held["accuracy_folds"]
    if not folds:
        return [notice("This result has no cross-validation scores.")]
    listed = ", ".join(f"{fold:.3f}" for fold in folds)
    average = "" if mean is None else f" (mean {mean:.3f})"
    parts: list[Any] = [dmc.Text(f"{name} on the {len(folds)} held-out folds: {listed}{average}")]
    found = candidates(result.scores)
    if len(found) < 2:
        return parts
    rows = [
        {"settings": describe(one.settings), "chosen": "chosen" if one.chosen else "", "mean": one.mean}
        | {f"fold {i + 1}": fold for i, fold in enumerate(one.folds)}
        for one in found
    ]
    columns = [text_column("settings", "candidate", width=260), text_column("chosen", width=115)]
    columns += [number_column("mean", digits=3, width=125, sort="desc")]
    columns += [number_column(f"fold {i + 1}", digits=3, width=100) for i in range(len(found[0].folds))]
    table = grid("candidates", columns, rows, height=400)
    drawing = render_or_error(
        lambda: graph("folds", folds_figure(found), "Cross-validation of every candidate"), "The candidates"
    )
    halves = [dmc.GridCol(part, span={"base": 12, "lg": 6}) for part in (drawing, table)]
    return [*parts, dmc.Grid(halves)]
