"""Reasons for the prediction of one sample, in full, and in short for the best results of other sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import dcc

from app.shared.data.one_result import OneResult
from app.shared.data.samples.reasons import describe_features
from app.shared.data.samples.selection import SelectedSample
from app.shared.data.tree import Index
from app.shared.labels import SOURCES, escape, result_title, shortened
from app.shared.parts.decisions.contributions import ClassLogit, contributions
from app.shared.parts.decisions.tree_path import Condition, tree_path
from app.shared.parts.figure import PALETTE, styled
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.page import notice
from app.shared.permalinks import link

if TYPE_CHECKING:
    from saefari.classify.decisions import Contributions, Decision, TreePath

_CLASSES = 8
_NAMED = 5


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
        conditions = _conditions(index, result, decision.path)
        nodes = result.scores["nodes"]
        return tree_path("path", conditions, decision.path.nodes, nodes, result.classes, result.word)
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


def short_reasons(shown: SelectedSample) -> Any:
    """A result's prediction for a row, and its strongest reasons."""
    result, rows = shown.result, shown.rows
    href = link("/samples", run=result.run, classifier=result.classifier, row=shown.row)
    answer = f": {rows.classes[shown.predicted]} ({rows.confidence[shown.place]:.2f}), {shown.verdict}"
    head = dmc.Text([dcc.Link(result_title(result.row), href=href), answer])
    reasons = [dmc.Text(one, size="sm") for one in _strongest_reasons(shown, shown.decision())]
    return dmc.Paper(dmc.Stack([head, *reasons], gap=4), withBorder=True, p="sm", radius="md")


def _strongest_reasons(shown: SelectedSample, decision: Decision) -> list[str]:
    """The strongest contributions for and against the predicted class, or the tree's path, in words."""
    if decision.path is not None:
        conditions = _conditions(shown.index, shown.result, decision.path)
        path = [f"{one.label} {'≤' if one.is_at_most else '>'} {one.threshold:.3g}" for one in conditions]
        return ["Path through the tree: " + ", then ".join(path)]
    found = decision.contributions
    if found is None:
        return []
    k = shown.predicted
    added = found.per_class[:, k]
    order = np.argsort(-added, kind="stable")
    lines = []
    for word, places in (
        ("For", [i for i in order[:_NAMED] if added[i] > 0]),
        ("Against", [i for i in order[::-1][:_NAMED] if added[i] < 0]),
    ):
        names = None if found.names is None else [found.names[i] for i in places]
        features = describe_features(shown.index, shown.result, [int(found.features[i]) for i in places], names)
        named = [f"{one.label} {added[i]:+.2f}" for one, i in zip(features, places, strict=True)]
        lines.append(f"{word}: {', '.join(named) or 'nothing'}")
    return [*lines, f"Logit with all features and the intercept: {found.logits[k]:+.2f}"]


def _contributions(index: Index, result: OneResult, found: Contributions, sides: Sequence[tuple[int, str]]) -> Any:
    features = describe_features(index, result, found.features.tolist(), found.names)
    logits = [
        ClassLogit(
            f"{result.classes[k]} ({what})",
            found.per_class[:, k],
            float(found.intercepts[k]),
            float(found.logits[k]),
        )
        for k, what in sides
    ]
    return contributions(
        "contributions",
        [one.label for one in features],
        [one.href for one in features],
        found.values,
        logits,
        [one.explanation for one in features],
    )


def _conditions(index: Index, result: OneResult, path: TreePath) -> list[Condition]:
    features = describe_features(
        index, result, [step.feature for step in path.steps], [step.name for step in path.steps]
    )
    return [
        Condition(one.label, one.href, step.value, step.threshold, step.went_left)
        for one, step in zip(features, path.steps, strict=True)
    ]
