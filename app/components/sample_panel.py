"""One sample, part by part: what it is, its coloured text, why it was decided so, and what other sources said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc

from app.components.figure import graph
from app.components.labels import shortened
from app.components.page import notice
from app.components.sample_reasons import chances_table, in_short, probabilities_figure, why
from app.components.sample_text import latent_text, plain_text, term_text
from app.data.one_result import OneResult, find_result
from app.data.reasons import offered_latents
from app.data.rivals import best_of_other_sources
from app.data.samples import ResultRows, Sample, find_rows, find_sample, runner_up, sample_folder
from app.data.tree import Index, tree
from app.engine import decide_rows, reads_words
from saefari.errors import StoreError

if TYPE_CHECKING:
    from saefari.classify.inspect import Decision

STRONGEST = "strongest"
"""The choice of latent that follows each row's decision."""
AGAINST = "usual"
"""The choice of class that follows each row: the true class, or the runner-up where that was predicted."""
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Shown:
    """The sample that is shown, with the result whose row it is. place: where it stands among the rows."""

    index: Index
    result: OneResult
    rows: ResultRows
    row: int
    place: int

    @property
    def predicted(self) -> int:
        return int(self.rows.predicted[self.place])

    def decision(self) -> Decision:
        """What the stored classifier says of the row now. Raises StoreError where it cannot say."""
        return _decision(self.result, self.row)


def find_shown(run: str, classifier: str, row: int | None) -> Shown:
    """Raises StoreError where there is no such result, or it was not tested on the row."""
    index = tree().index()
    result = find_result(index, run, classifier)
    rows = find_rows(result)
    place = None if row is None else rows.place(row)
    if row is None or place is None:
        raise StoreError("No row is picked." if row is None else f"This result was not tested on row {row}.")
    return Shown(index, result, rows, row, place)


def facts_part(shown: Shown) -> Any:
    """What the row is, and how likely each class is."""
    rows, place = shown.rows, shown.place
    right = bool(rows.right[place])
    verdict = dmc.Badge("right" if right else "wrong", color="teal" if right else "orange", variant="light", tt="none")
    lines = [
        dmc.Group([dmc.Text(f"Row {shown.row}, id {rows.ids[place]}", fw=700), verdict], gap="xs"),
        dmc.Text(f"True class: {rows.classes[rows.labels[place]]}"),
        dmc.Text(f"Predicted: {rows.classes[shown.predicted]}, with probability {rows.confidence[place]:.3f}"),
        graph("chances", probabilities_figure(rows, place), "Probability of the likeliest classes and of the true one"),
    ]
    return dmc.Stack(lines, gap=4)


def latent_options(shown: Shown, chosen: str) -> list[dict[str, str]]:
    """Choices of latents to colour the text by; [] where no latents were read. chosen: is always among them."""
    sample = find_sample(shown.result, shown.row)
    if sample.codes is None:
        return []
    offered = offered_latents(_decision_or_none(shown), shown.predicted, sample.codes)
    first = next(iter(offered), None)
    top = "no latent is active" if first is None else f"latent {first}"
    options = [{"value": STRONGEST, "label": f"what pushed the decision most: {top}"}]
    options += [{"value": str(latent), "label": f"latent {latent}, {reason}"} for latent, reason in offered.items()]
    if chosen not in [one["value"] for one in options]:
        options.append({"value": chosen, "label": f"latent {chosen}"})
    return options


def coloured_part(shown: Shown, latent: str) -> Any:
    """The text, coloured by a latent or, for TF-IDF, by what each term contributed to the predicted class."""
    sample = find_sample(shown.result, shown.row)
    if sample.codes is not None:
        return latent_text(sample, _latent(shown, sample, latent))
    if shown.result.row.source == "tfidf" and sample.text is not None:
        return _terms(shown, sample)
    return plain_text(sample, sample.problem or _why_plain(shown.result))


def runner_up_options(shown: Shown) -> list[dict[str, str]]:
    """Choices of a class to hold against the predicted one."""
    rival = shown.rows.classes[_rival(shown, AGAINST)[0]]
    usual = {"value": AGAINST, "label": f"the true class, or the runner-up: {rival}"}
    return [usual, *({"value": name, "label": name} for name in shown.rows.classes)]


def reasons_part(shown: Shown, against: str) -> Any:
    """Contributions or path of the result itself."""
    decision = shown.decision()
    rival, rival_is = _rival(shown, against)
    parts = [why(shown.index, shown.result, decision, shown.predicted, rival, rival_is)]
    if abs(decision.probabilities - shown.rows.probabilities[shown.place]).max() > _TOLERANCE:
        message = (
            "What is stored for this row now gives other probabilities than when the result was made, so the reasons "
            "below are not those of the prediction above: `python run_experiments.py` brings them together again."
        )
        parts.insert(0, notice(message, color="orange"))
    return dmc.Stack(parts)


def others_part(shown: Shown) -> Any:
    """What the best results of the other sources said of the row, and why in short."""
    others = [(one, find_rows(one)) for one in best_of_other_sources(shown.index, shown.result)]
    if not others:
        return notice("There are no results of other sources on this dataset.")
    tested = [(one, rows) for one, rows in others if rows.place(shown.row) is not None]
    same_classes = [(one, rows) for one, rows in tested if rows.classes == shown.rows.classes]
    cards = [in_short(shown.index, one, rows, _decision(one, shown.row), shown.row) for one, rows in tested]
    cards += [
        notice(f"{shortened(one.word, 20)}s: not tested on this row")
        for one, rows in others
        if (one, rows) not in tested
    ]
    table = chances_table([(shown.result, shown.rows), *same_classes], shown.row, shown.rows.classes)
    return dmc.Stack([dmc.SimpleGrid(cards, cols={"base": 1, "lg": 2}), table])


def _decision(result: OneResult, row: int) -> Decision:
    return decide_rows(result.folder, result.classifier, sample_folder(result), [row])[0]


def _decision_or_none(shown: Shown) -> Decision | None:
    """Reasons are said by their own part of the page; the text is shown without them."""
    try:
        return shown.decision()
    except StoreError:
        return None


def _latent(shown: Shown, sample: Sample, latent: str) -> int:
    if latent.isdigit() or sample.codes is None:
        return int(latent)
    return next(iter(offered_latents(_decision_or_none(shown), shown.predicted, sample.codes)), 0)


def _rival(shown: Shown, against: str) -> tuple[int, str]:
    """Its number, and what it is."""
    label = int(shown.rows.labels[shown.place])
    usual = runner_up(shown.rows.probabilities[shown.place], label)
    rival = shown.rows.classes.index(against) if against in shown.rows.classes else usual
    if rival == label:
        return rival, "the true class"
    return rival, "runner-up" if rival == usual else "chosen"


def _terms(shown: Shown, sample: Sample) -> Any:
    decision = _decision_or_none(shown)
    found = None if decision is None else decision.contributions
    if found is None or found.names is None:
        return plain_text(sample, _why_plain(shown.result))
    pushed = dict(zip(found.names, found.per_class[:, shown.predicted].tolist(), strict=True))
    words = reads_words(shown.result.folder, shown.result.classifier, sample_folder(shown.result))
    return term_text(sample, pushed, words, shown.rows.classes[shown.predicted])


def _why_plain(result: OneResult) -> str:
    reasons = {
        "hidden": "Nothing is coloured: hidden states were pooled over all positions before they were classified.",
        "tfidf": "Nothing is coloured: a tree asks for a few terms only, listed below.",
        "majority": "Nothing is coloured: the majority class does not read the text.",
    }
    return reasons.get(str(result.row.source), "")
