"""Texts in which a latent fires, its tokens coloured."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html

from app.components.tokens import coloured_text, excerpt, spans_of
from app.data.latents.contexts import Context

_TOKENS_EACH_SIDE = 20


def context_list(found: Sequence[Context], peak: float, names: Sequence[str] = ()) -> html.Ol:
    """One excerpt per row around its strongest token. peak: the activation that gets the full colour.

    names: what to call each row, besides its activation, class and number.
    """
    return html.Ol(
        [html.Li(_context(one, peak, name)) for one, name in zip(found, names or [""] * len(found), strict=True)],
        className="contexts",
    )


def _context(one: Context, peak: float, name: str) -> list[html.Div]:
    """Tokens at which the latent is silent stay plain text: each coloured one costs the browser a component."""
    spans = spans_of(one.sample)
    text, shown, which = excerpt(one.sample["text"] or "", spans, one.centre, _TOKENS_EACH_SIDE)
    values = one.values[which]
    active = values > 0
    facts = [name, one.sample["label"], f"row {one.sample['row']:,}"]
    head = html.Div([html.B(f"{one.peak:.3g}"), "  " + " · ".join(fact for fact in facts if fact)])
    return [head, coloured_text(text, shown[active], values[active], peak)]
