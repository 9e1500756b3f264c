"""Try it: type a text or choose an image, and see what a classifier says of it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash
import dash_mantine_components as dmc
import numpy as np
import pandas as pd
from dash import ALL, MATCH, Input, Output, State, callback, ctx, dcc, html, no_update

from app import engine
from app.pages.try_it.data.examples import LONGEST_TEXT, ExampleText, example_texts
from app.pages.try_it.data.live_image import live_picture
from app.pages.try_it.parts.live_answer import full_answer, short_answer
from app.pages.try_it.parts.question import image_question
from app.shared.data.baselines import best_rows_of_other_sources
from app.shared.data.images.picture import Picture, shows_images
from app.shared.data.images.upload import uploaded
from app.shared.data.one_result import OneResult, requested_result, find_result
from app.shared.data.samples.evidence import EVIDENCE
from app.shared.data.samples.rows import sample_folder
from app.shared.data.tree import tree
from app.shared.labels import result_title, score, shortened
from app.shared.parts.images.row import shaded_row
from app.shared.parts.images.shading import Shading
from app.shared.parts.page import notice, page, section
from app.shared.parts.result_picker import result_picker
from app.shared.parts.state import hidden_inputs, state_id
from app.shared.permalinks import link
from saefari.errors import SaefariError, StoreError
from saefari.log import logger

if TYPE_CHECKING:
    from saefari.pipeline.live.predict import LivePrediction

dash.register_page(__name__, path="/try", name="Try it", order=6)

_LINE = "Type a text or choose an image: a classifier answers, with its reasons, next to the answers of other sources."
_WORDS = ["latent", "patch", "feature", "contribution", "logit", "baseline", "source", "CV macro-F1", "decision tree"]
_IN_URL = 500
_EXAMPLES = 5
OWN = "own"


def layout(run: str = "", classifier: str = "", text: str = "", latent: str = "", **_: Any) -> Any:
    """The page for what the URL says. text: classified at once where it is given. latent: colours the text."""
    index = tree().index()
    try:
        result = requested_result(index, run, classifier)
    except StoreError as error:
        return page("Try it", _LINE, _WORDS, [notice(str(error))])
    picker = result_picker("/try", result.run, result.classifier)
    if takes_image(result):
        text, examples = "", []
        samples = link("/samples", run=result.run, classifier=result.classifier)
        question = image_question(samples, with_text=result.row.model_type != "vit")
    else:
        examples = example_texts(result, _EXAMPLES)
        question = _question(text, examples)
    return page(
        "Try it",
        _LINE,
        _WORDS,
        [
            picker,
            question,
            _answer_box(OWN, result.run, result.classifier, result.row, latent),
            dmc.SimpleGrid(
                [_answer_box(row.source, row.run, row.classifier, row) for row in best_rows_of_other_sources(index, result)],
                cols={"base": 1, "lg": 2},
            ),
            dcc.Store(id="try-asked", data=text),
            dcc.Store(id="try-examples", data=[one.text for one in examples]),
            *hidden_inputs(run=result.run, classifier=result.classifier, text=text),
        ],
    )


def takes_image(result: OneResult) -> bool:
    """Whether a result's classifier is tried with an image; else with a text, as that of the words alone always is."""
    if result.row.source == "tfidf":
        return False
    try:
        return result.row.model_type in ("vlm", "vit") or shows_images(sample_folder(result))
    except StoreError:
        return False


def _question(text: str, examples: list[ExampleText]) -> Any:
    box = dmc.Textarea(
        id="try-text",
        label="Text",
        value=text,
        autosize=True,
        minRows=3,
        maxRows=12,
        placeholder="Type or paste a text",
    )
    button = dmc.Button("Classify", id="try-classify")
    note = dmc.Text("The first text takes longer: the model is loaded for it.", size="sm", c="dimmed")
    buttons = [
        dmc.Button(
            shortened(f"{one.label}: {one.text}", 60),
            id={"type": "try-example", "number": number},
            variant="default",
            size="compact-sm",
            fw=400,
            maw="100%",
        )
        for number, one in enumerate(examples)
    ]
    offered = [dmc.Group([dmc.Text("Or a test row, by its label:", size="sm"), *buttons], gap="xs")] if buttons else []
    return dmc.Stack([box, dmc.Group([button, note]), *offered, html.Div(id="try-refusal", role="status")], gap="xs")


def _answer_box(name: str, run: str, classifier: str, row: pd.Series, latent: str = "") -> Any:
    """A box that fills by itself, so that no answer waits for another or hides it."""
    title = result_title(row)
    line = f"Macro-F1 {score(row.macro_f1, row.macro_f1_low, row.macro_f1_high)} on the test rows."
    content = [
        dcc.Link("Open this result", href=link("/run", run=run, classifier=classifier)),
        dcc.Store(id={"type": "try-of", "name": name}, data=[run, classifier, latent]),
        dcc.Loading(html.Div(id={"type": "try-answer", "name": name}, style={"minHeight": 60}), delay_show=200),
    ]
    return section(title, content, line)


@callback(
    Output("try-asked", "data"),
    Output("try-text", "value"),
    Output(state_id("text"), "value"),
    Output("try-refusal", "children"),
    Input("try-classify", "n_clicks"),
    Input({"type": "try-example", "number": ALL}, "n_clicks"),
    State("try-text", "value"),
    State("try-examples", "data"),
    prevent_initial_call=True,
)
def _ask(clicks: int | None, example_clicks: list[int | None], typed: str | None, examples: list[str]) -> Any:
    """Take the text over, or say why not. A long one is not written to the URL."""
    if not clicks and not any(example_clicks):
        return [no_update] * 4
    text = examples[ctx.triggered_id["number"]] if isinstance(ctx.triggered_id, dict) else typed or ""
    refusal = refused(text)
    if refusal:
        return no_update, no_update, no_update, notice(refusal, color="yellow")
    return text, text, text if len(text) < _IN_URL else "", None


def refused(text: str) -> str:
    """Why a text cannot be classified; "" where it can."""
    if not text.strip():
        return "Type a text first."
    if len(text) > LONGEST_TEXT:
        return f"The text has {len(text):,} characters; {LONGEST_TEXT:,} are the most that can be tried here."
    return ""


@callback(
    Output({"type": "try-answer", "name": MATCH}, "children"),
    Input("try-asked", "data"),
    State({"type": "try-of", "name": MATCH}, "data"),
    State({"type": "try-of", "name": MATCH}, "id"),
)
def _answer(asked: str | dict[str, Any], of: list[str], box: dict[str, str]) -> Any:
    """asked: a text, or an image with a text as the page sends them."""
    if not asked:
        return dmc.Text("Nothing asked yet.", size="sm", c="dimmed")
    text = asked if isinstance(asked, str) else str(asked.get("text") or "").strip()
    if (text or isinstance(asked, str)) and (refusal := refused(text)):
        return notice(refusal, color="yellow")
    run, classifier, latent = of
    index = tree().index()
    try:
        result = find_result(index, run, classifier)
        live, picture = _live(asked, result)
        if box["name"] == OWN:
            return full_answer(index, result, text, live, latent, picture)
        return short_answer(index, result, live, box["name"])
    except SaefariError as error:
        return notice(str(error), "This cannot be tried here", "orange")
    except Exception as error:  # a model may fail in any way; the other answers stay
        what = "text" if isinstance(asked, str) else "image"
        logger.warning("this %s could not be classified", what, exc_info=True)
        return notice(f"The {what} could not be classified ({type(error).__name__}: {error}).", color="red")


def _live(asked: str | dict[str, Any], result: OneResult) -> tuple[LivePrediction, Picture | None]:
    """The answer, and what the model saw of the image, where one was asked about. Raises SaefariError."""
    layout = tree().layout
    if isinstance(asked, str):
        return engine.predict(layout, result.folder, result.classifier, asked), None
    image = uploaded(asked)
    live = engine.predict_image(layout, result.folder, result.classifier, image.content, image.text)
    return live, live_picture(live, image.name, result.row.model_type == "vit")


@callback(Output("try-tokens", "children"), Input(state_id("latent"), "value"), Input("try-activations", "data"))
def _colour(latent: str | None, kept: dict[str, Any]) -> Any:
    positions, activations = kept["latents"].get(latent or "", ([], []))
    values = np.zeros(len(kept["spans"]))
    values[positions] = activations
    spans = np.asarray(kept["spans"], dtype=np.int64).reshape(-1, 2)
    picture = kept.get("picture")
    if picture is not None:
        picture = Picture(**picture | {"grid": tuple(picture["grid"]), "patch": np.asarray(picture["patch"])})
    if latent == EVIDENCE:
        unit, line = "evidence", f"The positions' shares add up to {values.sum():+.3g}, without the intercept."
    else:
        unit = f"activation of latent {latent}"
        line = f"Strongest activation of latent {latent} here: {values.max(initial=0):.3g}."
    line += f" Hover over a {'token' if picture is None else 'patch'} for its own."
    row = shaded_row(kept["text"], spans, picture, Shading(values, unit))
    return [row, dmc.Text(line, size="xs", c="dimmed")]
