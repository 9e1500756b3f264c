"""Section of a result's decision tree: the drawing with collapsible nodes, and the leaves as rules."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, callback

from app.shared.data.decision_tree import children_of, condition, rules
from app.shared.data.latents.names import names_of_result
from app.shared.data.one_result import OneResult, find_result
from app.shared.data.tree import Index, tree
from app.shared.parts.decisions.tree_figure import tree_figure, tree_width
from app.shared.parts.figure import graph, graph_id
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.guard import DATA_ERRORS
from app.shared.parts.page import notice, wide
from app.shared.parts.state import RUN_STATE, state_id
from app.shared.permalinks import Parameter, chosen_many


def tree_section(index: Index, result: OneResult, collapsed: Parameter) -> list[Any]:
    """Content of the section. collapsed: numbers of the nodes that the URL collapses."""
    nodes = result.scores["nodes"]
    if not nodes:
        return [notice("This result does not store the tree.")]
    names = names_of_result(index, result)
    inner = [str(i) for i, node in enumerate(nodes) if children_of(node)]
    closed = chosen_many(collapsed, inner)
    pick = dmc.MultiSelect(
        id=state_id("collapsed"),
        label="Collapsed nodes (or click a node in the drawing)",
        data=[{"value": i, "label": f"node {i}: {condition(nodes[int(i)], names)}"} for i in inner],
        value=closed,
        searchable=True,
        clearable=True,
        maw=760,
    )
    leaves = grid(
        "leaves",
        [
            text_column("class", "predicts", width=160),
            number_column("share", "share of leaf", 3, width=150),
            number_column("rows", "training rows", width=130),
            text_column("rule", "rule", flex=1, minWidth=420, wrapText=True, autoHeight=True),
        ],
        rules(nodes, result.classes, names),
        height=360,
    )
    legend = (
        "From left to right: rows whose feature is at most the threshold go up (yes), the others down (no). The marker "
        "has the colour of the node's most frequent class. Drag to move, zoom with the buttons above the drawing."
    )
    return [
        dmc.Text(legend, c="dimmed", size="sm"),
        pick,
        wide(dmc.Box(_drawing(index, result, closed), id="tree-drawing"), tree_width(nodes, [])),
        dmc.Text("The leaves as rules", fw=600, size="sm"),
        leaves,
    ]


@callback(
    Output(state_id("collapsed"), "value"),
    Output(graph_id("tree"), "clickData"),
    Input(graph_id("tree"), "clickData"),
    State(state_id("collapsed"), "value"),
    State(state_id("collapsed"), "data"),
    prevent_initial_call=True,
)
def _toggle_clicked(clicked: dict[str, Any] | None, closed: list[str], options: list[dict[str, str]]) -> Any:
    """Collapse or expand the clicked node, and clear the click, so that a second click on it works."""
    if not clicked:
        return dash.no_update, dash.no_update
    node = str(clicked["points"][0].get("customdata"))
    if node not in [option["value"] for option in options]:
        return dash.no_update, None
    return ([i for i in closed if i != node] if node in closed else [*closed, node]), None


@callback(
    Output("tree-drawing", "children"),
    Input(state_id("collapsed"), "value"),
    *RUN_STATE,
    prevent_initial_call=True,
)
def _redraw(closed: list[str], run: str, classifier: str) -> Any:
    try:
        index = tree().index()
        return _drawing(index, find_result(index, run, classifier), closed)
    except DATA_ERRORS:
        return dash.no_update


def _drawing(index: Index, result: OneResult, closed: list[str]) -> Any:
    names = names_of_result(index, result)
    figure = tree_figure(result.scores["nodes"], result.classes, [int(i) for i in closed], names=names)
    return graph("tree", figure, "The decision tree; the table below has its rules")
