"""One sample, part by part: what it is, its text or image, why it was decided so, and what other sources said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc

from app.pages.samples.parts.text import evidence_sample, latent_sample, plain_sample, term_text
from app.shared.data.one_result import OneResult
from app.shared.data.samples.evidence import EVIDENCE, position_evidence
from app.shared.data.samples.reasons import offered_latents
from app.shared.data.samples.rows import Sample, find_sample
from app.shared.data.samples.selection import SelectedSample, selected_in_baselines
from app.shared.labels import result_title
from app.shared.parts.decisions.reasons import probabilities_table, short_reasons, probabilities_figure, why
from app.shared.parts.figure import graph
from app.shared.parts.guard import render_or_error
from app.shared.parts.page import notice
from saefari.errors import StoreError

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision

STRONGEST = "strongest"
"""The choice of latent that follows each row's decision."""
AGAINST = "usual"
"""The choice of class that follows each row: the true class, or the runner-up where that was predicted."""


def facts_part(shown: SelectedSample) -> Any:
    """What the row is, and how likely each class is."""
    rows, place = shown.rows, shown.place
    colour = "teal" if shown.verdict == "right" else "orange"
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
        graph("chances", probabilities_figure(shown), "Probability of the likeliest classes and of the true one"),
    ]
    return dmc.Stack(lines, gap=4)


def latent_options(shown: SelectedSample, chosen: str) -> list[dict[str, str]]:
    """Choices of what to colour the row by; [] where no latents were read. chosen: is always among them."""
    sample = find_sample(shown.result, shown.row)
    if sample.codes is None:
        return []
    decision = _decision_or_none(shown)
    offered = offered_latents(decision, shown.predicted, sample.codes)
    first = next(iter(offered), None)
    top = "no latent is active" if first is None else f"latent {first}"
    options = [{"value": STRONGEST, "label": f"what pushed the decision most: {top}"}]
    if decision is not None and decision.contributions is not None:
        name = shown.rows.classes[shown.predicted]
        options.append({"value": EVIDENCE, "label": f"evidence for {name}: all latents together"})
    options += [{"value": str(latent), "label": f"latent {latent}, {reason}"} for latent, reason in offered.items()]
    if chosen not in [one["value"] for one in options]:
        options.append({"value": chosen, "label": f"latent {chosen}"})
    return options


def coloured_part(shown: SelectedSample, latent: str, token: int | None) -> Any:
    """The row, coloured by a latent or by all of them or, for TF-IDF, by what each term contributed to the predicted
    class. latent: its number, EVIDENCE, or anything for the one that pushed most. token: the position that is marked.
    """
    sample = find_sample(shown.result, shown.row)
    if sample.codes is not None:
        decision = None if latent.isdigit() else _decision_or_none(shown)
        if latent == EVIDENCE and decision is not None and decision.contributions is not None:
            evidence = position_evidence(sample.codes, decision.contributions, shown.predicted)
            return evidence_sample(sample, evidence, shown.rows.classes[shown.predicted], token)
        if not latent.isdigit():
            latent = str(next(iter(offered_latents(decision, shown.predicted, sample.codes)), 0))
        return latent_sample(sample, int(latent), token)
    if shown.result.row.source == "tfidf" and sample.text is not None:
        return _terms(shown, sample)
    return plain_sample(sample, sample.problem or _why_plain(shown.result, sample))


def runner_up_options(shown: SelectedSample) -> list[dict[str, str]]:
    """Choices of a class to hold against the predicted one."""
    rival = shown.rows.classes[shown.rival(AGAINST)[0]]
    usual = {"value": AGAINST, "label": f"the true class, or the runner-up: {rival}"}
    return [usual, *({"value": name, "label": name} for name in shown.rows.classes)]


def reasons_part(shown: SelectedSample, against: str) -> Any:
    """Contributions or path of the result itself."""
    decision = shown.decision()
    reasons = decision_reasons(shown.index, shown.result, decision, shown.predicted, *shown.rival(against))
    if not shown.is_outdated(decision):
        return reasons
    message = (
        "What is stored for this row now gives other probabilities than when the result was made, so the reasons "
        "below are not those of the prediction above: `python run_experiments.py` brings them together again."
    )
    return dmc.Stack([notice(message, color="orange"), reasons])


def others_part(shown: SelectedSample) -> Any:
    """What the best results of the other sources said of the row, and why in short."""
    others, without = selected_in_baselines(shown)
    cards = [render_or_error(lambda one=one: short_reasons(one), result_title(one.result.row)) for one in others]  # type: ignore[misc]
    cards += [notice(f"{result_title(one.row)}: what it said of this row is not stored.") for one in without]
    if not cards:
        return notice("There are no results of other sources on this dataset.")
    comparable = [one for one in others if one.rows.classes == shown.rows.classes]
    return dmc.Stack([dmc.SimpleGrid(cards, cols={"base": 1, "lg": 2}), probabilities_table([shown, *comparable])])


def _decision_or_none(shown: SelectedSample) -> Decision | None:
    """Reasons are said by their own part of the page; the text is shown without them."""
    try:
        return shown.decision()
    except StoreError:
        return None


def _terms(shown: SelectedSample, sample: Sample) -> Any:
    decision = _decision_or_none(shown)
    found = None if decision is None else decision.contributions
    if found is None or found.names is None:
        return plain_sample(sample, _why_plain(shown.result, sample))
    pushed = dict(zip(found.names, found.per_class[:, shown.predicted].tolist(), strict=True))
    return term_text(sample, pushed, shown.rows.classes[shown.predicted])


def _why_plain(result: OneResult, sample: Sample) -> str:
    reasons = {
        "hidden": "Nothing is coloured: hidden states were pooled over all positions before they were classified.",
        "tfidf": "Nothing is coloured: a tree asks for a few terms only, listed below.",
        "majority": f"Nothing is coloured: the majority class does not read the {sample.kind}.",
        "pixels": "Nothing is coloured: the classifier reads the pixels themselves.",
    }
    return reasons.get(str(result.row.source), "")
