"""Parts of the selected sample: facts, coloured text or image, reasons, and predictions of the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc

from app.pages.samples.parts.text import evidence_sample, latent_sample, plain_sample, term_text
from app.shared.data.latents.names import names_of_result
from app.shared.data.one_result import OneResult
from app.shared.data.samples.evidence import EVIDENCE, position_evidence
from app.shared.data.samples.reasons import offered_latents
from app.shared.data.samples.rows import Sample, find_sample
from app.shared.data.samples.selection import SelectedSample, selected_in_baselines
from app.shared.labels import result_title
from app.shared.parts.decisions.reasons import (
    decision_reasons,
    probabilities_figure,
    probabilities_table,
    short_reasons,
)
from app.shared.parts.decisions.sentence import sentence, sentence_of
from app.shared.parts.figure import graph
from app.shared.parts.guard import render_or_error
from app.shared.parts.page import notice
from saefari.errors import StoreError

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision

STRONGEST = "strongest"
"""The option that selects the latent with the strongest support for each row's prediction."""
DEFAULT_CLASS = "usual"
"""The option that compares with the true class or, if that was predicted, with the runner-up."""


def facts_part(shown: SelectedSample) -> Any:
    """True and predicted class of the row, and class probabilities."""
    rows, place = shown.rows, shown.place
    colour = "teal" if shown.verdict == "correct" else "orange"
    lines = [
        dmc.Group(
            [
                dmc.Text(f"Row {shown.row}, id {rows.ids[place]}", fw=700),
                dmc.Badge(shown.verdict, color=colour, variant="light", tt="none"),
            ],
            gap="xs",
        ),
        dmc.Text(f"True class: {rows.classes[shown.label]}"),
        dmc.Text(f"Predicted: {rows.classes[shown.predicted]}, with probability {rows.confidence[place]:.3f}"),
        graph(
            "chances", probabilities_figure(shown), "Probabilities of the most probable classes and of the true class"
        ),
    ]
    return dmc.Stack(lines, gap=4)


def latent_options(shown: SelectedSample, chosen: str) -> list[dict[str, str]]:
    """Options to colour the row by; [] without codes. chosen: always included."""
    sample = find_sample(shown.result, shown.row)
    if sample.codes is None:
        return []
    decision = _decision_or_none(shown)
    offered = offered_latents(decision, shown.predicted, sample.codes)
    first = next(iter(offered), None)
    names = names_of_result(shown.index, shown.result)
    top = "no latent is active" if first is None else names.of(first).listed
    options = [{"value": STRONGEST, "label": f"strongest support for the prediction: {top}"}]
    if decision is not None and decision.contributions is not None:
        name = shown.rows.classes[shown.predicted]
        options.append({"value": EVIDENCE, "label": f"evidence for {name}: all latents together"})
    options += [
        {"value": str(latent), "label": f"{names.of(latent).listed}, {reason}"} for latent, reason in offered.items()
    ]
    if chosen not in [one["value"] for one in options]:
        options.append({"value": chosen, "label": names.of(int(chosen)).listed if chosen.isdigit() else chosen})
    return options


def coloured_part(shown: SelectedSample, latent: str, token: int | None) -> Any:
    """The row, coloured by one latent, by all latents or, for TF-IDF, by the contributions of terms.

    latent: its number, EVIDENCE, or anything else for the strongest support. token: the marked position.
    """
    sample = find_sample(shown.result, shown.row)
    if sample.codes is not None:
        decision = None if latent.isdigit() else _decision_or_none(shown)
        if latent == EVIDENCE and decision is not None and decision.contributions is not None:
            evidence = position_evidence(sample.codes, decision.contributions, shown.predicted)
            return evidence_sample(sample, evidence, shown.rows.classes[shown.predicted], token)
        if not latent.isdigit():
            latent = str(next(iter(offered_latents(decision, shown.predicted, sample.codes)), 0))
        name = names_of_result(shown.index, shown.result).of(int(latent))
        return latent_sample(sample, name, token)
    if shown.result.row.source == "tfidf" and sample.text is not None:
        return _terms(shown, sample)
    return plain_sample(sample, sample.problem or _why_plain(shown.result, sample))


def runner_up_options(shown: SelectedSample) -> list[dict[str, str]]:
    """Options of the class to compare with the predicted one."""
    name = shown.rows.classes[shown.compared_class(DEFAULT_CLASS)[0]]
    default = {"value": DEFAULT_CLASS, "label": f"true class, or runner-up if that was predicted: {name}"}
    return [default, *({"value": name, "label": name} for name in shown.rows.classes)]


def reasons_part(shown: SelectedSample, against: str) -> Any:
    """Contributions or tree path of the result's own prediction."""
    decision = shown.decision()
    chances, kind = shown.rows.probabilities[shown.place], find_sample(shown.result, shown.row).noun
    parts = sentence_of(shown.index, shown.result, decision, chances, shown.predicted, kind)
    reasons = [
        sentence(parts, size="lg"),
        decision_reasons(shown.index, shown.result, decision, shown.predicted, *shown.compared_class(against)),
    ]
    if not shown.is_outdated(decision):
        return dmc.Stack(reasons)
    message = (
        "The stored features of this row have changed since the result was computed, so the reasons below do not "
        "belong to the prediction above. Run `python run_experiments.py` to update the result."
    )
    return dmc.Stack([notice(message, color="orange"), *reasons])


def others_part(shown: SelectedSample) -> Any:
    """Predictions of the best results of other sources for the row, with short reasons."""
    others, without = selected_in_baselines(shown)
    kind = find_sample(shown.result, shown.row).noun
    cards = [render_or_error(lambda one=one: short_reasons(one, kind), result_title(one.result.row)) for one in others]  # type: ignore[misc]
    cards += [notice(f"{result_title(one.row)}: no stored prediction for this row.") for one in without]
    if not cards:
        return notice("There are no results of other sources on this dataset.")
    comparable = [one for one in others if one.rows.classes == shown.rows.classes]
    return dmc.Stack([dmc.SimpleGrid(cards, cols={"base": 1, "lg": 2}), probabilities_table([shown, *comparable])])


def _decision_or_none(shown: SelectedSample) -> Decision | None:
    """The decision, or None if it cannot be computed (the section of reasons reports the error)."""
    try:
        return shown.decision()
    except StoreError:
        return None


def _terms(shown: SelectedSample, sample: Sample) -> Any:
    decision = _decision_or_none(shown)
    found = None if decision is None else decision.contributions
    if found is None or found.names is None:
        return plain_sample(sample, _why_plain(shown.result, sample))
    values = dict(zip(found.names, found.per_class[:, shown.predicted].tolist(), strict=True))
    return term_text(sample, values, shown.rows.classes[shown.predicted])


def _why_plain(result: OneResult, sample: Sample) -> str:
    reasons = {
        "hidden": "No colours: hidden states are pooled over all positions before classification.",
        "tfidf": "No colours: a tree uses only a few terms, listed below.",
        "majority": f"No colours: the majority class does not use the {sample.kind}.",
        "pixels": "No colours: the classifier uses raw pixels.",
    }
    return reasons.get(str(result.row.source), "")
