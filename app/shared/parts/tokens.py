"""A text with its tokens coloured by value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from dash import html

_WEAKEST, _STRONGEST = 0.15, 0.85
"""Opacity of the weakest and of the strongest shade."""


def coloured_text(
    text: str,
    spans: np.ndarray,
    values: np.ndarray,
    peak: float,
    tip: Callable[[int], str] | None = None,
    pickable: bool = False,
    picked: int | None = None,
    numbers: Sequence[int] | None = None,
) -> html.Div:
    """Render a text with its tokens shaded from no colour at 0 to full colour at `peak`.

    spans: int [n, 2], first and past-last character of each token, ascending. values: [n]; negative values have
    another colour and are underlined.
    tip: tooltip of token i, by default its value.
    pickable: a click on a token sets the page's control `token` to its number (assets/dashboard.js).
    picked: number of the marked token. numbers: token numbers, by default counted from 0.
    """
    parts: list[Any] = []
    at = 0
    for i, (start, stop) in enumerate(spans.tolist()):
        if start < at:  # no characters of its own, or further bytes of a character already shown
            continue
        parts.append(text[at:start])
        tooltip = f"{values[i]:.3g}" if tip is None else tip(i)
        number = i if numbers is None else numbers[i]
        marks: dict[str, Any] = {"data-token": str(number)} if pickable else {}
        if number == picked:
            marks["aria-current"] = "true"
        parts.append(_token(text[start:stop], float(values[i]), peak, tooltip, marks))
        at = stop
    parts.append(text[at:])
    return html.Div([part for part in parts if part != ""], className="tokens")


def excerpt(text: str, spans: np.ndarray, centre: int, tokens_each_side: int) -> tuple[str, np.ndarray, slice]:
    """Cut the text around token `centre`: (excerpt, spans [m, 2] within it, slice of the tokens)."""
    first, last = max(0, centre - tokens_each_side), min(len(spans), centre + tokens_each_side + 1)
    start = 0 if first == 0 else int(spans[first, 0])
    stop = len(text) if last == len(spans) else int(spans[last - 1, 1])
    before, after = "" if start == 0 else "… ", "" if stop == len(text) else " …"
    return before + text[start:stop] + after, spans[first:last] - start + len(before), slice(first, last)


def shade(value: float, peak: float) -> dict[str, str]:
    """CSS background for a value: none at 0, strongest at `peak`."""
    strength = _strength(value, peak)
    if strength == 0:
        return {}
    red_green_blue = "230, 159, 0" if value > 0 else "86, 180, 233"
    return {"backgroundColor": f"rgba({red_green_blue}, {_WEAKEST + (_STRONGEST - _WEAKEST) * strength:.3f})"}


def _strength(value: float, peak: float) -> float:
    return min(1.0, abs(value) / peak) if peak > 0 else 0.0


def _token(text: str, value: float, peak: float, tip: str, marks: dict[str, Any]) -> html.Span:
    style = shade(value, peak)
    if not style:
        return html.Span(text, className="token", title=tip, **marks)
    attributes: dict[str, Any] = marks | {"data-value": f"{value:.4g}"}
    strong = _strength(value, peak) > 0.5
    kinds = ["token", *(["token-strong"] if strong else []), *(["token-against"] if value < 0 else [])]
    return html.Span(text, className=" ".join(kinds), style=style, title=tip, **attributes)


def spans_of(row: dict[str, Sequence[int]]) -> np.ndarray:
    """Token spans int [n, 2] of a row of samples.parquet, one per valid position."""
    return np.column_stack([row["span_start"], row["span_end"]]).astype(np.int64).reshape(-1, 2)
