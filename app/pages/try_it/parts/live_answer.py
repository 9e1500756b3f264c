"""A live prediction of a text or image: predicted class, probabilities, reasons, and coloured input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import dcc, html

from app.shared.data.images.picture import Picture
from app.shared.data.images.served import data_address
from app.shared.data.latents.names import FeatureNames, names_of_result
from app.shared.data.one_result import OneResult
from app.shared.data.samples.evidence import EVIDENCE, position_evidence
from app.shared.data.samples.reasons import offered_latents
from app.shared.data.tree import Index
from app.shared.labels import escape, shortened
from app.shared.parts.decisions.contributions import ClassLogit, bars, sum_text
from app.shared.parts.decisions.reasons import decision_reasons
from app.shared.parts.decisions.sentence import sentence, sentence_of
from app.shared.parts.figure import PALETTE, graph, styled
from app.shared.parts.images.row import plain_row
from app.shared.parts.state import options_of, state_id
from app.shared.permalinks import chosen

if TYPE_CHECKING:
    from scipy import sparse

    from saefari.pipeline.live.predict import LivePrediction

_MOST_CLASSES = 10


def full_answer(
    index: Index, result: OneResult, text: str, live: LivePrediction, latent: str, picture: Picture | None = None
) -> dmc.Stack:
    """Full prediction of the page's own result. latent: the one that colours the text first.

    picture: the image as the model received it; None for a text.
    """
    best, second = _ranked(live)[:2]
    return dmc.Stack(
        [
            _verdict(index, result, live, "own", picture),
            _probabilities(live, "own"),
            *_coloured(names_of_result(index, result), text, live, best, latent, picture),
            decision_reasons(index, result, live.decision, best, second, "second most probable"),
        ],
        gap="sm",
    )


def short_answer(
    index: Index, result: OneResult, live: LivePrediction, name: str, picture: Picture | None = None
) -> dmc.Stack:
    """Short prediction of a baseline. name: suffix of the figures' ids. picture: as in `full_answer`."""
    parts = [_verdict(index, result, live, name, picture), _probabilities(live, name)]
    found, best = live.decision.contributions, _ranked(live)[0]
    if found is not None:
        features = names_of_result(index, result).of_contributions(found)
        logit = ClassLogit(
            live.classes[best], found.per_class[:, best], float(found.intercepts[best]), float(found.logits[best])
        )
        parts.append(graph(f"try-{name}-reasons", bars(features, logit), f"Contributions to {logit.title}"))
        parts.append(dmc.Text(sum_text(logit), size="sm"))
    return dmc.Stack(parts, gap="xs")


def live_picture(live: LivePrediction, name: str, is_vit: bool) -> Picture | None:
    """The image of a live prediction; None for a text, or if the classifier uses no image.

    name: file name. is_vit: whether a position before the patches is a vision transformer's class token.
    """
    if live.view is None:
        return None
    patch = np.full(len(live.spans), -1) if live.patch is None else np.asarray(live.patch, dtype=np.int64)
    first_is_class = is_vit and len(patch) > 0 and patch[0] == -1
    return Picture(name, data_address(live.view), live.grid or (1, 1), patch, bool(first_is_class))


def probability_figure(classes: list[str], probabilities: np.ndarray) -> go.Figure:
    """Bars of the most probable classes, the predicted one on top in another colour, and one bar for all others."""
    order = np.argsort(-probabilities, kind="stable")[:_MOST_CLASSES]
    names = [shortened(classes[i], 24) for i in order]
    values = [float(probabilities[i]) for i in order]
    if len(classes) > len(order):
        names.append(f"{len(classes) - len(order)} others")
        values.append(max(0.0, 1 - sum(values)))
    places = list(range(len(values)))
    figure = go.Figure(
        go.Bar(
            x=values,
            y=places,
            orientation="h",
            marker={"color": [PALETTE[2]] + [PALETTE[5]] * (len(values) - 1)},
            text=[f"{value:.1%}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertext=[f"{escape(name)}: {value:.1%}" for name, value in zip(names, values, strict=True)],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    return styled(
        figure,
        height=90 + 24 * len(places),
        xaxis={"title": "probability", "range": [0, 1.15], "tickformat": ".0%"},
        yaxis={
            "tickvals": places,
            "ticktext": [escape(name) for name in names],
            "autorange": "reversed",
            "showgrid": False,
        },
        margin={"l": 40 + 7 * max(map(len, names)), "r": 16, "t": 8, "b": 48},
        bargap=0.3,
    )


def _ranked(live: LivePrediction) -> list[int]:
    return [int(k) for k in np.argsort(-live.probabilities, kind="stable")]


def _verdict(index: Index, result: OneResult, live: LivePrediction, name: str, picture: Picture | None) -> dmc.Text:
    """The prediction in one sentence, with the class under the id `answer-<name>`."""
    kind = "text" if picture is None else "image"
    parts = sentence_of(index, result, live.decision, live.probabilities, _ranked(live)[0], kind)
    return sentence(parts, f"answer-{name}", size="lg")


def _probabilities(live: LivePrediction, name: str) -> Any:
    figure = probability_figure(live.classes, live.probabilities)
    return graph(f"try-{name}-classes", figure, "Probability of each class")


def _coloured(
    names: FeatureNames, text: str, live: LivePrediction, best: int, latent: str, picture: Picture | None
) -> list[Any]:
    """Drop-down of latents and the data for colouring the row by them; without an SAE, only the image."""
    if live.codes is None:
        return [] if picture is None else [plain_row(None, picture)]
    what = "text" if picture is None else "image"
    offered = offered_latents(live.decision, best, live.codes)
    if not offered:
        return [
            dmc.Text(f"No latent is active in this {what}.", size="sm"),
            *([] if picture is None else [plain_row(text, picture)]),
        ]
    options = {str(one): f"{names.of(one).listed}: {reason}" for one, reason in offered.items()}
    activations = _activations(live.codes, list(offered))
    if live.decision.contributions is not None:
        options[EVIDENCE] = f"evidence for {live.classes[best]}: all latents together"
        evidence = position_evidence(live.codes, live.decision.contributions, best)
        activations[EVIDENCE] = [list(range(len(evidence))), evidence.tolist()]
    end = int(live.spans[:, 1].max(initial=0))
    truncated = f"The model reads only the first {end:,} characters." if end < len(text.rstrip()) else ""
    return [
        dmc.Select(
            id=state_id("latent"),
            label=f"Colour the {what} by",
            data=options_of(options),
            value=chosen(latent, list(options), next(iter(options))),
            searchable=True,
            allowDeselect=False,
            maw=520,
        ),
        dcc.Store(
            id="try-activations",
            data={
                "text": text,
                "spans": live.spans.tolist(),
                "latents": activations,
                "names": {str(one): names.of(one).text for one in offered},
                "picture": None if picture is None else vars(picture) | {"patch": picture.patch.tolist()},
            },
        ),
        html.Div(id="try-tokens"),
        *([dmc.Text(truncated, size="sm")] if truncated else []),
    ]


def _activations(codes: sparse.csr_array, latents: list[int]) -> dict[str, list[list[float]]]:
    """Map latent -> [positions, activations], as JSON."""
    columns = codes.tocsc()
    found = {}
    for latent in latents:
        own = slice(columns.indptr[latent], columns.indptr[latent + 1])
        found[str(latent)] = [columns.indices[own].tolist(), columns.data[own].astype(float).tolist()]
    return found
