"""One classifier's answer for a text: its class, how sure it is, and the features that decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import numpy as np
from dash import html

from app.components.answer_figures import contribution_figure, probability_figure
from app.components.figure import graph
from app.components.grid import grid, link_column, number_column, text_column
from app.components.state import link
from app.data.one_result import OneResult
from app.data.reasons import Reason, Reasons
from app.data.saes import Sae
from saefari.store import read_explanation

if TYPE_CHECKING:
    from saefari.pipeline.predict import LivePrediction

_MOST_BARS = 12
_MOST_ROWS = 200


def verdict(prediction: LivePrediction, name: str) -> dmc.Text:
    """The predicted class and its probability; id: `answer-<name>`."""
    best = int(np.argmax(prediction.probabilities))
    return dmc.Text(
        [
            "Says ",
            html.Strong(prediction.classes[best], id=f"answer-{name}"),
            f" with probability {prediction.probabilities[best]:.3f}.",
        ],
        size="lg",
    )


def figures(result: OneResult, prediction: LivePrediction, why: Reasons, name: str) -> list[Any]:
    """Class probabilities, and contributions where the classifier is a linear probe."""
    predicted = prediction.classes[int(np.argmax(prediction.probabilities))]
    parts = [
        graph(
            f"try-{name}-classes",
            probability_figure(prediction.classes, prediction.probabilities),
            f"Probability of each class, by {result.row.source}",
        )
    ]
    shown = why.features[:_MOST_BARS]
    if why.logit is not None and shown:
        figure = contribution_figure(shown)
        parts.append(graph(f"try-{name}-reasons", figure, f"What spoke for {predicted}, by {result.row.source}"))
    return parts


def sum_line(why: Reasons, predicted: str) -> str:
    """How the contributions add up to the logit of the predicted class; "" where there are none."""
    if why.logit is None or why.intercept is None:
        return ""
    parts = [reason.contribution or 0.0 for reason in why.features]
    shown, others = sum(parts[:_MOST_BARS]), sum(parts[_MOST_BARS:])
    n_others = max(0, len(parts) - _MOST_BARS)
    more = f" {others:+.2f} (the {n_others:,} others)" if n_others else ""
    return f"{why.intercept:.2f} (intercept) {shown:+.2f} (shown){more} = {why.logit:.2f}, the logit of {predicted}."


def reasons_table(why: Reasons, sae: Sae | None) -> Any:
    """Every feature that had a part, with links to the latents' pages and what was written about them."""
    if not why.features:
        return dmc.Text("No feature had a part in it: the intercept alone decided.", size="sm")
    listed = why.features[:_MOST_ROWS]
    rows = [_row(reason, sae) for reason in listed]
    columns = [link_column("label", "feature", "href", width=150), number_column("value", "value", 3, width=110)]
    if why.logit is None:
        columns.append(text_column("question", "the tree asks: is it", width=220))
    else:
        columns.append(number_column("contribution", "contribution", 3, width=130))
    if any(row["explanation"] for row in rows):
        columns.append(text_column("explanation", flex=1, minWidth=260, tooltipField="explanation"))
    return grid("try-reasons", columns, rows, height=min(420, 90 + 42 * len(rows)))


def token_data(
    text: str, prediction: LivePrediction, by_latent: Mapping[int, tuple[list[int], list[float]]]
) -> dict[str, Any]:
    """What colouring the text by one of these latents needs, as JSON for the browser to keep."""
    return {
        "text": text,
        "spans": prediction.spans.tolist(),
        "latents": {str(latent): places for latent, places in by_latent.items()},
    }


def latent_options(by_latent: Sequence[int] | Mapping[int, Any], why: Reasons) -> list[dict[str, str]]:
    """Options of the select, those that decided first and said so."""
    decided = {reason.feature: reason for reason in why.features}
    return [{"value": str(latent), "label": _option(latent, decided.get(latent))} for latent in by_latent]


def _option(latent: int, reason: Reason | None) -> str:
    if reason is None:
        return f"latent {latent}"
    if reason.contribution is None:
        return f"latent {latent}: asked by the tree"
    return f"latent {latent}: {reason.contribution:+.2f}"


def _row(reason: Reason, sae: Sae | None) -> dict[str, Any]:
    explanation = None if sae is None else read_explanation(sae.explanations, reason.feature)
    return {
        "label": reason.label,
        "href": "" if sae is None else link("/latent", sae=sae.id, latent=reason.feature),
        "value": reason.value,
        "contribution": reason.contribution,
        "question": reason.question,
        "explanation": "" if explanation is None else explanation.text,
    }
