"""Sections of the page Overview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html

from app.engine import decide_rows
from app.pages.overview.data.class_latents import MOST_CLASSES, class_latents
from app.pages.overview.data.samples import Example, example_rows
from app.pages.overview.data.verdict import colour_of, difference_of, verdict, verdict_sentence
from app.shared.data.baselines import best_baseline
from app.shared.data.one_result import OneResult, sae_of
from app.shared.data.samples.rows import ResultRows, find_rows, sample_folder
from app.shared.data.selection import SAE, SaeAndBaseline
from app.shared.data.tree import Index
from app.shared.decision_sentence import decision_sentence
from app.shared.labels import result_title, shortened
from app.shared.parts.decisions.sentence import sentence, sentence_of
from app.shared.parts.names import written
from app.shared.parts.page import notice, section
from app.shared.permalinks import link
from saefari.errors import StoreError

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision

_LETTERS = 220
_NO_REASONS = "the reasons cannot be computed, because the classifier or its features are not stored"


def wins(index: Index, pairs: Sequence[SaeAndBaseline]) -> dmc.Stack:
    """One line per dataset: verdict, sentence and links to both results."""
    return dmc.Stack([_win(index, pair) for pair in pairs], gap="md")


def _win(index: Index, pair: SaeAndBaseline) -> Any:
    found = difference_of(index, pair)
    outcome = verdict(pair, found)
    head = [dmc.Text(pair.dataset, fw=700)]
    if pair.difference is not None:
        head.append(dmc.Badge(f"SAE: {outcome}", color=colour_of(outcome), variant="light", tt="none"))
    sides = [("best SAE setting", pair.sae), ("best baseline", pair.baseline)]
    links = [
        dmc.Text([f"{name}: ", dcc.Link(result_title(row), href=link("/run", run=row.run, classifier=row.classifier))])
        for name, row in sides
        if row is not None and row.run
    ]
    return dmc.Stack(
        [
            dmc.Group(head, gap="sm"),
            dmc.Text(verdict_sentence(pair, found)),
            dmc.Stack(links, gap=0, className="small"),
        ],
        gap=4,
    )


def classes_section(index: Index, result: OneResult) -> Any:
    """The strongest features of each class."""
    kind = "latents" if result.row.source == SAE else "features"
    found = class_latents(index, result)
    if not any(one.features for one in found):
        return section("Classes", [notice("This result lists no features per class.")])
    line = f"The {kind} with the largest weights for each class, strongest first"
    line += ", of the best result by cross-validation. Hover over a name for its explanation and score."
    parts: list[Any] = []
    named = any(feature.explanation for one in found for feature in one.features)
    if named:
        line += " Latents without a name are left out where others have one."
    elif result.row.source == SAE:
        parts.append(notice("No latent has a name yet. `saefari explain --config FILE` names and scores them."))
    rows = [html.Tr([html.Th(one.name, scope="row"), html.Td(_names(one.features))]) for one in found if one.features]
    parts.append(html.Table(html.Tbody(rows), className="class-names"))
    if len(result.classes) > MOST_CLASSES:
        parts.append(dmc.Text(f"The first {MOST_CLASSES} of {len(result.classes)} classes.", size="sm", c="dimmed"))
    parts.append(
        dcc.Link("All features of this result", href=link("/run", run=result.run, classifier=result.classifier))
    )
    return section("What speaks for each class", parts, line)


def _names(features: Sequence[Any]) -> list[Any]:
    shown = []
    for i, one in enumerate(features):
        shown += [", "] * (i > 0) + [written(one, with_score=True)]
    return shown


def samples_section(index: Index, result: OneResult) -> Any:
    """Three right and three wrong rows with the sentence about each prediction. Raises StoreError."""
    rows = find_rows(result)
    right, wrong = example_rows(rows, True), example_rows(rows, False)
    places = [one.place for one in (*right, *wrong)]
    decisions = dict(zip(places, _decisions(result, rows, places), strict=True))
    columns = [
        dmc.Stack(
            [
                dmc.Text(title, fw=600),
                *(_example(index, result, rows, one, decisions[one.place]) for one in found),
                *([] if found else [dmc.Text("None.", size="sm")]),
            ],
            gap="xs",
        )
        for title, found in (("Right", right), ("Wrong", wrong))
    ]
    line = "Test rows chosen by how sure the prediction is: the surest, the median and the least sure."
    return section("Right and wrong", [dmc.SimpleGrid(columns, cols={"base": 1, "lg": 2})], line)


def _decisions(result: OneResult, rows: ResultRows, places: Sequence[int]) -> Sequence[Decision | None]:
    """Decisions about the rows; None for all if they cannot be computed."""
    try:
        numbers = [int(rows.rows[place]) for place in places]
        return decide_rows(result.folder, result.classifier, sample_folder(result), numbers) if numbers else []
    except StoreError:
        return [None] * len(places)


def _example(index: Index, result: OneResult, rows: ResultRows, one: Example, decision: Decision | None) -> Any:
    place, row = one.place, int(rows.rows[one.place])
    chances, predicted = rows.probabilities[place], int(rows.predicted[place])
    kind = rows.kind(place)
    if decision is None:
        parts = decision_sentence(result.classes, chances, predicted, [_NO_REASONS])
    else:
        parts = sentence_of(index, result, decision, chances, predicted, kind)
    href = link("/samples", run=result.run, classifier=result.classifier, row=row)
    head = [dcc.Link(f"Row {row}", href=href), f", {one.role} · true class {rows.classes[rows.labels[place]]}"]
    quote = dmc.Text(shortened(str(rows.names[place]), _LETTERS), size="sm", c="dimmed", className="quote")
    picture = [html.Img(src=f"{rows.views}{row}", alt=str(rows.images[place]), className="thumbnail")] * (
        kind == "image"
    )
    lines = [dmc.Text(head, size="sm"), *picture, quote, sentence(parts, size="sm")]
    return dmc.Paper(dmc.Stack(lines, gap=4), withBorder=True, p="sm", radius="md")


def next_section(index: Index, result: OneResult) -> Any:
    """Links to what explains the result further."""
    ids = {"run": result.run, "classifier": result.classifier}
    steps = [
        ("Rows that are wrong although the prediction is sure", link("/samples", show="confidently-wrong", **ids)),
        ("Errors, features and settings of this result", link("/run", **ids)),
    ]
    baseline = best_baseline(index.results, result.row)
    if baseline is not None and baseline.run != result.run:
        picks = [f"{result.run}.{result.classifier}", f"{baseline.run}.{baseline.classifier}"]
        steps.append(("This result and the best baseline side by side", link("/compare", pick=picks)))
    steps.append(("Layers, settings and sources compared", "/compare"))
    sae = sae_of(index, result.row)
    if sae is not None:
        steps.append(("All latents of its SAE, with names, classes and densities", link("/latents", sae=sae.id)))
    steps.append(("Your own text or image", link("/try", **ids)))
    if index.problems:
        steps.append((f"{len(index.problems)} files that cannot be read or are incomplete", "/health"))
    return section("What to look at next", [dmc.List([dmc.ListItem(dcc.Link(*step)) for step in steps], size="sm")])
