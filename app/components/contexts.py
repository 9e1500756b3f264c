"""Texts in which a latent fires, its tokens coloured."""

from __future__ import annotations

from collections.abc import Sequence

import dash_mantine_components as dmc
from dash import html

from app.components.tokens import coloured_text, excerpt, spans_of
from app.data.contexts import Context

_TOKENS_EACH_SIDE = 24


def context_list(found: Sequence[Context], peak: float) -> html.Ol:
    """One excerpt per row around its strongest token. peak: the activation that gets the full colour."""
    return html.Ol([html.Li(_context(one, peak)) for one in found], className="contexts")


def _context(one: Context, peak: float) -> dmc.Stack:
    spans = spans_of(one.sample)
    text, shown, which = excerpt(one.sample["text"] or "", spans, one.centre, _TOKENS_EACH_SIDE)
    head = [dmc.Text(f"{one.peak:.3g}", size="sm", fw=700, span=True)]
    if one.sample["label"]:
        head.append(dmc.Badge(one.sample["label"], variant="light", color="gray", tt="none", size="sm"))
    head.append(dmc.Text(f"row {one.sample['row']:,}", size="xs", c="dimmed", span=True))
    return dmc.Stack([dmc.Group(head, gap="xs"), coloured_text(text, shown, one.values[which], peak)], gap=0)
