"""Section of a latent's explanation, with its scores and their controls."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html

from app.shared.feature_name import CONTROLS, MARKED, FeatureName
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.page import section
from saefari.store import Explanation, StoredScore


def explanation(name: FeatureName, neuronpedia: str) -> Any:
    """The latent's explanation, who wrote it, and a table of its scores. neuronpedia: URL, or ""."""
    found = name.explanation
    parts: list[Any] = [dmc.Text(_emphasised(found.text) if found else "No explanation yet.")]
    if found:
        by = f"by the explainer {found.explainer}" if found.explainer else "explainer unknown"
        verdict = "; its first score is not above its controls, so it may describe nothing" if name.is_doubtful else ""
        parts.append(dmc.Text(f"{'Scored' if found.scores else 'Not scored'}, {by}{verdict}.", size="sm", c="dimmed"))
        parts += [_scores(found)] if found.scores else []
    if neuronpedia:
        parts.append(html.A("This latent on Neuronpedia", href=neuronpedia, rel="noopener", target="_blank"))
    return section("Explanation", parts)


def _scores(found: Explanation) -> Any:
    controls = dict.fromkeys(control for score in found.scores.values() for control in score.controls)
    rows = [
        {
            "score": name,
            "value": score.value,
            "low": score.interval[0] if score.interval else None,
            "high": score.interval[1] if score.interval else None,
            "verdict": _against_controls(score),
        }
        | {f"control {control}": value for control, value in score.controls.items()}
        for name, score in found.scores.items()
    ]
    columns = [
        text_column("score", width=130),
        number_column("value", digits=3, width=100),
        number_column("low", "95% from", 3, width=110),
        number_column("high", "to", 3, width=100),
        *(number_column(f"control {control}", CONTROLS.get(control, control), 3, width=160) for control in controls),
        text_column("verdict", "against its controls", width=160),
    ]
    for column in columns:
        column["filter"] = False
    return grid("latent-scores", columns, rows, height=260)


def _against_controls(score: StoredScore) -> str:
    if not score.controls:
        return "no controls"
    return "not above" if score.is_below_controls else "above"


def _emphasised(text: str) -> list[Any]:
    """The sentence with words between asterisks in italics, as explainers mark words of the texts."""
    parts = MARKED.split(text)
    return [html.Em(part) if i % 2 else part for i, part in enumerate(parts) if part]
