"""A live answer for a text or image: its class, how sure it is of each, what decided, and where its latents are."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import dcc, html

from app.shared.data.images.picture import Picture
from app.shared.data.one_result import OneResult
from app.shared.data.samples.evidence import EVIDENCE, position_evidence
from app.shared.data.samples.reasons import describe_features, offered_latents
from app.shared.data.tree import Index
from app.shared.labels import shortened
from app.shared.parts.decisions.contributions import ClassLogit, bars, check
from app.shared.parts.decisions.reasons import why
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
    """Everything about the answer of the result that was asked. latent: the one to colour the text by at first.

    picture: what the model saw of an image; None where none was asked about.
    """
    best, second = _ranked(live)[:2]
    return dmc.Stack(
        [
            _verdict(live, "own"),
            _probabilities(live, "own"),
            *_coloured(text, live, best, latent, picture),
            decision_reasons(index, result, live.decision, best, second, "second most probable"),
        ],
        gap="sm",
    )


def short_answer(index: Index, result: OneResult, live: LivePrediction, name: str) -> dmc.Stack:
    """The answer of a result that is only compared with; its figures are named after `name`."""
    parts = [_verdict(live, name), _probabilities(live, name)]
    found, best = live.decision.contributions, _ranked(live)[0]
    if found is not None:
        labels = [one.label for one in describe_features(index, result, found.features.tolist(), found.names)]
        push = ClassLogit(
            live.classes[best], found.per_class[:, best], float(found.intercepts[best]), float(found.logits[best])
        )
        parts.append(graph(f"try-{name}-reasons", bars(labels, push), f"What spoke for {push.title}"))
        parts.append(dmc.Text(check(push), size="sm"))
    return dmc.Stack(parts, gap="xs")


def probability_figure(classes: list[str], probabilities: np.ndarray) -> go.Figure:
    """Bars of the most probable classes, the predicted one on top and in another colour; the rest as one bar."""
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


def _verdict(live: LivePrediction, name: str) -> dmc.Text:
    """The predicted class, under the id `answer-<name>`."""
    best = _ranked(live)[0]
    said = html.Strong(live.classes[best], id=f"answer-{name}")
    return dmc.Text(["Says ", said, f" with probability {live.probabilities[best]:.3f}."], size="lg")


def _probabilities(live: LivePrediction, name: str) -> Any:
    figure = probability_figure(live.classes, live.probabilities)
    return graph(f"try-{name}-classes", figure, "Probability of each class")


def _coloured(text: str, live: LivePrediction, best: int, latent: str, picture: Picture | None) -> list[Any]:
    """The choice of a latent, and what a callback needs to colour the row by it; the image alone without an SAE."""
    if live.codes is None:
        return [] if picture is None else [plain_row(None, picture)]
    what = "text" if picture is None else "image"
    offered = offered_latents(live.decision, best, live.codes)
    if not offered:
        return [
            dmc.Text(f"No latent is active anywhere in this {what}.", size="sm"),
            *([] if picture is None else [plain_row(text, picture)]),
        ]
    options = {str(one): f"latent {one}: {reason}" for one, reason in offered.items()}
    activations = _activations(live.codes, list(offered))
    if live.decision.contributions is not None:
        options[EVIDENCE] = f"evidence for {live.classes[best]}: all latents together"
        evidence = position_evidence(live.codes, live.decision.contributions, best)
        activations[EVIDENCE] = [list(range(len(evidence))), evidence.tolist()]
    read_to = int(live.spans[:, 1].max(initial=0))
    cut = f"The model reads the first {read_to:,} characters." if read_to < len(text.rstrip()) else ""
    return [
        dmc.Select(
            id=state_id("latent"),
            label=f"Colour the {what} by",
            data=options_of(options),
            value=chosen(latent, list(options), next(iter(options))),
            searchable=True,
            allowDeselect=False,
            maw=420,
        ),
        dcc.Store(
            id="try-activations",
            data={
                "text": text,
                "spans": live.spans.tolist(),
                "latents": activations,
                "picture": None if picture is None else vars(picture) | {"patch": picture.patch.tolist()},
            },
        ),
        html.Div(id="try-tokens"),
        *([dmc.Text(cut, size="sm")] if cut else []),
    ]


def _activations(codes: sparse.csr_array, latents: list[int]) -> dict[str, list[list[float]]]:
    """latent -> (positions, activations there), as JSON keeps it."""
    columns = codes.tocsc()
    found = {}
    for latent in latents:
        own = slice(columns.indptr[latent], columns.indptr[latent + 1])
        found[str(latent)] = [columns.indices[own].tolist(), columns.data[own].astype(float).tolist()]
    return found
