"""A sample's text or image, coloured by a latent, by evidence or by terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import numpy as np

from app.pages.samples.data.terms import term_values
from app.shared.data.samples.rows import Sample
from app.shared.feature_name import FeatureName
from app.shared.parts.images.row import plain_row, shaded_row
from app.shared.parts.images.shading import Shading
from app.shared.parts.page import notice
from app.shared.parts.tokens import coloured_text


def plain_sample(sample: Sample, why: str) -> Any:
    """The text or image without colours, and the reason."""
    if sample.text is None and sample.picture is None:
        return notice("This sample has neither a text nor an image.")
    return dmc.Stack([plain_row(sample.text, sample.picture), _caption(why)], gap=4)


def latent_sample(sample: Sample, name: FeatureName, token: int | None) -> Any:
    """The row coloured by the activation of one latent. token: the marked position."""
    latent = name.number
    if sample.codes is None or (sample.text is None and sample.picture is None):
        return plain_sample(sample, sample.problem)
    if not 0 <= latent < sample.codes.shape[1]:
        return plain_sample(sample, f"The SAE has no latent {latent}: it has {sample.codes.shape[1]:,}.")
    values = sample.codes[:, [latent]].toarray().ravel()
    active = int((values > 0).sum())
    who = f"Latent {latent}, “{name.title}”," if name.explanation else f"Latent {latent}"
    caption = f"{who} is not active in this {sample.kind}."
    if active:
        caption = (
            f"{who} is active at {active} of {len(values)} positions, up to {values.max():.3g}. "
            f"{_hover_hint(sample)} its activation."
        )
    return _shaded(sample, Shading(values, f"activation of {name.text}", True, token), caption)


def evidence_sample(sample: Sample, evidence: np.ndarray, class_name: str, token: int | None) -> Any:
    """The row coloured by each position's contribution to a class (`position_evidence`)."""
    caption = (
        f"Orange: for {class_name}; blue: against it. Each latent's contribution to the logit is distributed over its "
        f"active positions in proportion to its activation. Sum without the intercept: {evidence.sum():+.3g}. "
        f"{_hover_hint(sample)} its share."
    )
    shading = Shading(evidence, f"evidence for {class_name}", True, token, lambda i: f"{evidence[i]:+.3g}")
    return _shaded(sample, shading, caption)


def term_text(sample: Sample, contributions: Mapping[str, float], class_name: str) -> Any:
    """The text coloured by the contributions of terms to a class (`term_values`)."""
    if not sample.text:
        return plain_sample(sample, "This row has no text for the classifier to read.")
    spans, values = term_values(sample.text, contributions)
    peak = float(np.abs(values).max(initial=0))
    caption = (
        f"Orange: for {class_name}; blue and underlined: against it. A term's contribution is divided among its "
        "occurrences. Hover over a term for its share."
    )
    coloured = coloured_text(sample.text, spans, values, peak, lambda i: f"{values[i]:+.3g}")
    picture = [] if sample.picture is None else [plain_row(None, sample.picture)]
    return dmc.Stack([*picture, coloured, _caption(caption)], gap=4)


def _shaded(sample: Sample, shading: Shading, caption: str) -> Any:
    what = "patch or token" if sample.picture and sample.text else "patch" if sample.picture else "token"
    caption += f" Click a {what} to list its strongest latents."
    return dmc.Stack([shaded_row(sample.text, sample.spans, sample.picture, shading), _caption(caption)], gap=4)


def _hover_hint(sample: Sample) -> str:
    return "Hover over a token for" if sample.picture is None else "Hover over a patch (or use the arrow keys) for"


def _caption(text: str) -> Any:
    return dmc.Text(text, size="sm", c="dimmed")
