"""The sentence about a prediction as a component: names are links with their score in the tooltip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import numpy as np
from dash import html

from app.shared.data.latents.names import names_of_result
from app.shared.data.one_result import OneResult
from app.shared.data.tree import Index
from app.shared.decision_sentence import MAJORITY, Part, Split, decision_sentence, path_reasons, probe_reasons
from app.shared.parts.names import written

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision


def sentence_of(
    index: Index, result: OneResult, decision: Decision, probabilities: np.ndarray, predicted: int, kind: str
) -> list[Part]:
    """The sentence about one prediction of a result. probabilities: [K]. kind: what was classified, text or image."""
    return decision_sentence(
        result.classes, probabilities, predicted, _reasons(index, result, decision, predicted, kind)
    )


def sentence(parts: Sequence[Part], class_id: str | None = None, **options: Any) -> dmc.Text:
    """A sentence of `decision_sentence`: the class in bold, names as links.

    class_id: id of the class's element. options go to dmc.Text.
    """
    opening, predicted, *others = parts
    bold = html.Strong(predicted, **({"id": class_id} if class_id else {}))
    shown = [part if isinstance(part, str) else html.Em(written(part)) for part in others]
    return dmc.Text([opening, bold, *shown], className="decision", **options)


def _reasons(index: Index, result: OneResult, decision: Decision, predicted: int, kind: str) -> list[Part]:
    names = names_of_result(index, result)
    found = decision.contributions
    if found is not None:
        return probe_reasons(names.of_contributions(found), found.per_class[:, predicted])
    if decision.path is not None:
        steps = decision.path.steps
        return path_reasons([Split(names.of(s.feature, s.name), s.threshold, s.went_left) for s in steps], kind)
    return [MAJORITY]
