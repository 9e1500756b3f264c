"""Section of a result's top features: bars, and a table with links to latents."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, callback, dcc

from app.pages.run.parts.feature_bars import bars_figure, features_table
from app.shared.data.one_result import OneResult, find_result
from app.shared.data.top_features import is_signed, top_features
from app.shared.data.tree import tree
from app.shared.parts.figure import graph, opens_on_click
from app.shared.parts.guard import render_or_error
from app.shared.parts.page import notice, wide
from app.shared.parts.state import RUN_STATE, hidden_inputs, state_id
from app.shared.permalinks import Parameter, chosen


def features_section(result: OneResult, shown_class: Parameter) -> list[Any]:
    """Content of the section. shown_class: class of the URL, whose weights are shown first."""
    if not result.scores.get("top_features"):
        return [notice("This classifier uses no features, or the result does not list them.")]
    holder = dcc.Loading(dmc.Box(id="features", mih=200))
    if not is_signed(result.scores):
        return [dmc.Text("Importance over all classes.", c="dimmed", size="sm"), *hidden_inputs(shown_class=""), holder]
    names = list(result.scores["top_features"])
    pick = dmc.Select(
        id=state_id("shown_class"),
        label="Weights for and against the class",
        data=names,
        value=chosen(shown_class, names, names[0]),
        searchable=True,
        allowDeselect=False,
        maw=360,
    )
    return [pick, holder]


@callback(Output("features", "children"), Input(state_id("shown_class"), "value"), *RUN_STATE)
def _show_features(shown_class: str, run: str, classifier: str) -> Any:
    return render_or_error(lambda: _feature_parts(shown_class, run, classifier), "The features")


def _feature_parts(shown_class: str, run: str, classifier: str) -> Any:
    index = tree().index()
    result = find_result(index, run, classifier)
    signed = is_signed(result.scores)
    features = top_features(index, result, shown_class)
    if not features:
        return notice("No feature has a nonzero weight.")
    drawing = graph("features", bars_figure(features, signed), "Top features; the table links to each latent")
    explained = any(feature.name.explanation for feature in features)  # their sentences need the page's width
    parts = [
        (wide(drawing, 520 if explained else 320), 12 if explained else 5),
        (features_table(features, signed), 12 if explained else 7),
    ]
    return dmc.Grid([dmc.GridCol(part, span={"base": 12, "lg": span}) for part, span in parts])


opens_on_click("features", "/latent")
