"""Names of features on pages: a link with the number beside it, columns of tables, lines of a figure's tooltip."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from app.shared.feature_name import DOUBTFUL, FeatureName
from app.shared.labels import escape
from app.shared.parts.grid import text_column

_GREY = "#7F7F7F"
_LINE, _LINES = 60, 8


def written(name: FeatureName, with_score: bool = False) -> html.Span:
    """The name, linked to its latent, with the number small beside it; sentence and score are the tooltip.

    with_score: also write the score. A name that scores no better than its controls is grey and says so.
    """
    parts: list[Any] = [_linked(name)]
    note = name.score if with_score else DOUBTFUL if name.is_doubtful else ""
    beside = ", ".join(filter(None, [name.number_beside, note]))
    if beside:
        parts.append(html.Small(f" {beside}"))
    kinds = "feature-name doubtful" if name.is_doubtful else "feature-name"
    return html.Span(parts, className=kinds, title=name.tip or None)


def _linked(name: FeatureName) -> Any:
    if not name.href:
        return name.title
    if name.href.startswith("/"):
        return dcc.Link(name.title, href=name.href)
    return html.A(name.title, href=name.href, rel="noopener", target="_blank")


def name_columns(names: Sequence[FeatureName], title: str, **options: Any) -> list[dict[str, Any]]:
    """Columns of the fields of `name_fields`: the name and, for explained latents, score and sentence.

    The number of a latent is a hidden column, which is exported. title: of the first column.
    """
    renderer = {"cellRenderer": "FeatureName", "tooltipField": "tip"}
    columns = [text_column("name", title, **renderer, **options)]
    if any(name.noun == "latent" for name in names):
        columns.append(text_column("number", hide=True))
    if any(name.explanation for name in names):
        columns += score_and_sentence()
    return columns


def score_and_sentence() -> list[dict[str, Any]]:
    """Columns of an explanation's score and sentence."""
    return [
        text_column("score", width=160, tooltipField="score"),
        text_column("explanation", tooltipField="explanation", flex=2, minWidth=300),
    ]


def name_fields(name: FeatureName) -> dict[str, Any]:
    """Fields of a table row for `name_columns`."""
    return {
        "name": name.title,
        "number": name.number,
        "beside": name.number_beside,
        "score": name.score,
        "explanation": name.sentence,
        "tip": name.tip,
        "doubtful": name.is_doubtful,
        "href": name.href,
    }


def tick(name: FeatureName, letters: int) -> str:
    """The name as a tick label of a figure, with escaped markup; grey if it scores no better than its controls."""
    text = escape(name.short_text(letters))
    return f'<span style="color:{_GREY}">{text}</span>' if name.is_doubtful else text


def tooltip_lines(name: FeatureName) -> list[str]:
    """Lines of a figure's tooltip: name, sentence and score, with escaped markup."""
    lines = [f"<b>{escape(name.text)}</b>"]
    lines += map(escape, textwrap.wrap(name.sentence, _LINE, max_lines=_LINES, placeholder=" …"))
    return [*lines, *map(escape, filter(None, [name.score, name.controls]))]
