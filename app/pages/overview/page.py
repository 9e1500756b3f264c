"""Page Overview: per dataset who wins, the latents of each class, examples, and what to look at next."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, callback, dcc

from app.pages.overview.parts.sections import classes_section, next_section, samples_section, wins
from app.shared.data.one_result import OneResult, default_result, find_result
from app.shared.data.selection import TASK, best_pairs
from app.shared.data.tree import Index, tree
from app.shared.parts.guard import render_or_error
from app.shared.parts.missing import no_results
from app.shared.parts.page import page, placeholder, section
from app.shared.parts.state import hidden_inputs, options_of, state_id
from app.shared.permalinks import chosen
from saefari.errors import StoreError

dash.register_page(__name__, path="/", name="Overview")

_LINE = "What the results say: do SAE features win, what do they use, and where are they right or wrong?"
_WORDS = [
    "SAE", "latent", "explanation", "score", "controls", "baseline", "macro-F1", "CV macro-F1", "interval",
    "paired difference",
]  # fmt: skip
_DATASET = Input(state_id("dataset"), "value")


def layout(dataset: str = "", **_: Any) -> Any:
    """Build the page from URL parameters. dataset: the task whose classes and samples are shown."""
    index = tree().index()
    if index.results.empty:
        parts: list[Any] = [no_results(tree().output, index.problems)]
        if index.saes:
            known = f"The tree has {len(index.saes)} SAEs: "
            parts.append(dmc.Text([known, dcc.Link("their quality", href="/saes"), "."]))
        return page("Overview", _LINE, _WORDS, parts)
    tasks = [pair.dataset for pair in best_pairs(index.results)]
    shown = chosen(dataset, tasks, _default_task(index, tasks))
    picker = hidden_inputs(dataset=shown)
    if len(tasks) > 1:
        picker = [
            dmc.Select(
                id=state_id("dataset"),
                label="Dataset of the sections below",
                data=options_of({task: task for task in tasks}),
                value=shown,
                allowDeselect=False,
                searchable=True,
                maw=460,
            )
        ]
    line = "The best SAE setting against the best baseline of each dataset, by macro-F1 on the test rows."
    return page(
        "Overview",
        _LINE,
        _WORDS,
        [
            section("Who wins", [placeholder("overview-wins", 90)], line),
            *picker,
            placeholder("overview-classes", 200),
            placeholder("overview-samples", 300),
            placeholder("overview-next", 120),
        ],
    )


@callback(Output("overview-wins", "children"), Input("overview-wins", "id"))
def _wins(_id: str) -> Any:
    index = tree().index()
    return render_or_error(lambda: wins(index, best_pairs(index.results)), "The comparison")


@callback(Output("overview-classes", "children"), _DATASET)
def _classes(dataset: str) -> Any:
    index = tree().index()
    return render_or_error(lambda: classes_section(index, _result(index, dataset)), "The latents of the classes")


@callback(Output("overview-samples", "children"), _DATASET)
def _samples(dataset: str) -> Any:
    index = tree().index()
    return render_or_error(lambda: samples_section(index, _result(index, dataset)), "The examples")


@callback(Output("overview-next", "children"), _DATASET)
def _next(dataset: str) -> Any:
    index = tree().index()
    return render_or_error(lambda: next_section(index, _result(index, dataset)), "The links")


def _default_task(index: Index, tasks: list[str]) -> str:
    """The dataset of the best SAE result by cross-validation, which other pages open first, too."""
    best = default_result(index.results)
    rows = index.results[index.results["run"] == best[0]] if best else index.results
    return str(rows[TASK].iloc[0]) if len(rows) else tasks[0]


def _result(index: Index, dataset: str) -> OneResult:
    """The best SAE result of a dataset by cross-validation, or its best baseline without one. Raises StoreError."""
    results = index.results[(index.results[TASK] == dataset) & (index.results["run"] != "")]
    best = default_result(results)
    if best is None:
        raise StoreError(f"There are no readable results on {dataset}")
    return find_result(index, *best)
