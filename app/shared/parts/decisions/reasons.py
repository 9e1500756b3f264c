"""Reasons for the prediction of one sample, in full, and in short for the best results of other sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import dcc

from app.shared.data.latents.names import names_of_result
from app.shared.data.one_result import OneResult
from app.shared.data.samples.selection import SelectedSample
from app.shared.data.tree import Index
from app.shared.labels import SOURCES, escape, result_title, shortened
from app.shared.parts.decisions.contributions import ClassLogit, contributions
from app.shared.parts.decisions.sentence import sentence, sentence_of
from app.shared.parts.decisions.tree_path import Condition, tree_path
from app.shared.parts.figure import PALETTE, styled
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.page import notice
from app.shared.permalinks import link

if TYPE_CHECKING:
    from saefari.classify.decisions import Contributions, Decision

_CLASSES = 8


def probabilities_figure(shown_sample: SelectedSample) -> go.Figure:
    """Bar chart of the most probable classes of a row and its true class."""
    rows, label = shown_sample.rows, shown_sample.label
    chances = rows.probabilities[shown_sample.place]
    shown = [int(k) for k in np.argsort(-chances, kind="stable")[:_CLASSES]]
    shown += [] if label in shown else [label]
    names = [escape(shortened(rows.classes[k], 24)) + (" (true)" if k == label else "") for k in shown]
    positions = list(range(len(shown)))
    figure = go.Figure(
        go.Bar(
            x=[float(chances[k]) for k in shown],
            y=positions,
            orientation="h",
            marker={
                "color": [PALETTE[2] if k == label else PALETTE[0] for k in shown],
                "pattern": {"shape": ["/" if k == label else "" for k in shown]},
            },
            hovertext=[f"{name}: {chances[k]:.4f}" for name, k in zip(names, shown, strict=True)],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    return styled(
        figure,
        height=80 + 24 * len(shown),
        xaxis={"title": "probability", "range": [0, 1]},
        yaxis={"tickvals": positions, "ticktext": names, "autorange": "reversed", "showgrid": False},
        margin={"l": 24 + 7 * max(map(len, names)), "r": 16, "t": 8, "b": 48},
        bargap=0.3,
    )


def decision_reasons(
    index: Index, result: OneResult, decision: Decision, predicted: int, compared: int, role: str
) -> Any:
    """Contributions of a linear probe, or path of a tree. compared: class to compare with; role: why this class."""
    if decision.contributions is not None:
        sides = [(predicted, "predicted"), (compared, role)]
        return _contributions(index, result, decision.contributions, sides)
    if decision.path is not None:
        names = names_of_result(index, result)
        conditions = [
            Condition(names.of(step.feature, step.name), step.value, step.threshold, step.went_left)
            for step in decision.path.steps
        ]
        return tree_path("path", conditions, decision.path.nodes, result.scores["nodes"], result.classes, names)
    return notice(
        "The majority class uses no features: it always predicts the most frequent class of the training rows."
    )


def probabilities_table(results: Sequence[SelectedSample]) -> Any:
    """Table of each result's class probabilities for the row, most probable classes first."""
    chances = [one.rows.probabilities[one.place] for one in results]
    sources = [SOURCES.get(one.result.row.source, one.result.row.source) for one in results]
    columns = [text_column("class", flex=1, minWidth=140)]
    columns += [number_column(f"source{i}", name, 3, width=160) for i, name in enumerate(sources)]
    listed = [
        {"class": results[0].rows.classes[k]} | {f"source{i}": float(one[k]) for i, one in enumerate(chances)}
        for k in np.argsort(-np.max(chances, axis=0), kind="stable")
    ]
    return grid("sources", columns, listed, height=380)


def short_reasons(shown: SelectedSample, kind: str) -> Any:
    """A result's prediction for a row, in one sentence. kind: what was classified, text or image."""
    href = link("/samples", run=shown.result.run, classifier=shown.result.classifier, row=shown.row)
    head = dmc.Text([dcc.Link(result_title(shown.result.row), href=href), f": {shown.verdict}"])
    parts = sentence_of(
        shown.index, shown.result, shown.decision(), shown.rows.probabilities[shown.place], shown.predicted, kind
    )
    return dmc.Paper(dmc.Stack([head, sentence(parts, size="sm")], gap=4), withBorder=True, p="sm", radius="md")


def _contributions(index: Index, result: OneResult, found: Contributions, sides: Sequence[tuple[int, str]]) -> Any:
    logits = [
        ClassLogit(
            f"{result.classes[k]} ({what})",
            found.per_class[:, k],
            float(found.intercepts[k]),
            float(found.logits[k]),
        )
        for k, what in sides
    ]
    return contributions("contributions", names_of_result(index, result).of_contributions(found), found.values, logits)
