"""A sample's text, coloured by what a classifier sees in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import numpy as np
from dash import html

from app.components.page import notice
from app.components.tokens import coloured_text
from app.data.samples.rows import Sample
from app.data.samples.terms import term_values


def plain_text(sample: Sample, why: str) -> Any:
    """The text alone, and why nothing is coloured."""
    if sample.text is None:
        return notice("This sample has no text: it is an image or another file, which this page does not show.")
    return dmc.Stack([html.Div(sample.text, className="tokens"), _caption(why)], gap=4)


def latent_text(sample: Sample, latent: int, token: int | None) -> Any:
    """The text with the activation of one latent at each position that counts; token: the one that is marked."""
    if sample.text is None or sample.codes is None:
        return plain_text(sample, sample.problem)
    if not 0 <= latent < sample.codes.shape[1]:
        return plain_text(sample, f"The SAE has no latent {latent}: it has {sample.codes.shape[1]:,}.")
    values = sample.codes[:, [latent]].toarray().ravel()
    peak = float(values.max(initial=0))
    active = int((values > 0).sum())
    caption = f"Latent {latent} is not active in this text."
    if active:
        caption = (
            f"Latent {latent} is active at {active} of {len(values)} positions; the darkest is its strongest here, "
            f"{peak:.3g}. Hover a token for its activation."
        )
    caption += " Click a token for the latents that are strongest there."
    coloured = coloured_text(sample.text, sample.spans, values, peak, pickable=True, picked=token)
    return dmc.Stack([coloured, _caption(caption)], gap=4)


def term_text(sample: Sample, contributions: Mapping[str, float], words: bool, class_name: str) -> Any:
    """The text with what each place contributed to a class; see `term_values`."""
    if sample.text is None:
        return plain_text(sample, "")
    spans, values = term_values(sample.text, contributions, words)
    peak = float(np.abs(values).max(initial=0))
    caption = (
        f"Orange speaks for {class_name}, blue and underlined against it; a term's contribution is shared out among "
        "the places where it occurs. Hover a place for its share."
    )
    return dmc.Stack(
        [coloured_text(sample.text, spans, values, peak, lambda i: f"{values[i]:+.3g}"), _caption(caption)], gap=4
    )


def _caption(text: str) -> Any:
    return dmc.Text(text, size="sm", c="dimmed")
