"""List of example rows of a latent: texts with coloured tokens, images with heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import html

from app.shared.data.images.positions import position_name
from app.shared.data.latents.contexts import Context
from app.shared.labels import shortened
from app.shared.parts.images.heat_map import small_heat_map
from app.shared.parts.tokens import coloured_text, excerpt, spans_of

_TOKENS_EACH_SIDE = 20
_LETTERS = 160


def context_list(found: Sequence[Context], peak: float, names: Sequence[str] = ()) -> html.Ol:
    """One excerpt or image per row. peak: the activation with full colour. names: further captions, one per row."""
    with_images = any(one.picture for one in found)
    return html.Ol(
        [html.Li(_context(one, peak, name)) for one, name in zip(found, names or [""] * len(found), strict=True)],
        className="contexts contexts-images" if with_images else "contexts",
    )


def _context(one: Context, peak: float, name: str) -> list[Any]:
    facts = [name, one.sample["label"], f"row {one.sample['row']:,}"]
    head = html.Div([html.B(f"{one.peak:.3g}"), "  " + " · ".join(fact for fact in facts if fact)])
    spans = spans_of(one.sample)
    if one.picture is None:
        return [head, _excerpt(one, spans, np.arange(len(spans)), peak)]
    where = position_name(one.sample["text"], tuple(spans[one.centre].tolist()), one.picture, one.centre)
    alt = f"{one.picture.name}: strongest, {one.peak:.3g}, at {where}"
    shown = [small_heat_map(one.picture, one.values, peak, alt), head, html.Div(f"at {where}")]
    tokens = np.flatnonzero((spans[:, 1] > spans[:, 0]) & (one.picture.patch < 0))
    if len(tokens):
        shown.append(_excerpt(one, spans, tokens, peak))
    elif one.sample["text"]:
        shown.append(html.Div(shortened(one.sample["text"], _LETTERS), className="tokens"))
    return shown


def _excerpt(one: Context, spans: np.ndarray, tokens: np.ndarray, peak: float) -> html.Div:
    """The text around the strongest position, or its beginning if that is not a token. tokens: positions of tokens.

    Tokens without activation stay plain text, because each coloured one is a component.
    """
    centre = int(np.searchsorted(tokens, one.centre)) if one.centre in tokens else 0
    text, shown, which = excerpt(one.sample["text"] or "", spans[tokens], centre, _TOKENS_EACH_SIDE)
    values = one.values[tokens][which]
    active = values > 0
    return coloured_text(text, shown[active], values[active], peak)
