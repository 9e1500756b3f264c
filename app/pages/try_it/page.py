"""Page Try it: classify a new text or image and explain the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash
import dash_mantine_components as dmc
import numpy as np
import pandas as pd
from dash import ALL, MATCH, Input, Output, State, callback, ctx, dcc, html, no_update

from app import engine
from app.pages.try_it.data.examples import LONGEST_TEXT, ExampleText, example_texts
from app.pages.try_it.parts.live_answer import full_answer, live_picture, short_answer
from app.pages.try_it.parts.question import image_question
from app.shared.data.baselines import best_rows_of_other_sources
from app.shared.data.images.picture import Picture, shows_images
from app.shared.data.images.upload import decode_upload
from app.shared.data.one_result import OneResult, find_result, requested_result
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

dash.register_page(__name__, path="/try", name="Try it")

_LINE = "Classify a new text or image, with the reasons for the prediction and the predictions of the baselines."
_WORDS = ["latent", "patch", "feature", "contribution", "logit", "baseline", "source", "CV macro-F1", "decision tree"]
_IN_URL = 500
_EXAMPLES = 5
OWN = "own"


def layout(run: str = "", classifier: str = "", text: str = "", latent: str = "", **_: Any) -> Any:
    """Build the page from URL parameters. text: classified at once. latent: colours the text."""
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
                [
                    _answer_box(row.source, row.run, row.classifier, row)
                    for row in best_rows_of_other_sources(index, result)
                ],
                cols={"base": 1, "lg": 2},
            ),
            dcc.Store(id="try-query", data=text),
            dcc.Store(id="try-examples", data=[one.text for one in examples]),
            *hidden_inputs(run=result.run, classifier=result.classifier, text=text),
        ],
    )


def takes_image(result: OneResult) -> bool:
    """Whether a result's classifier takes an image; otherwise it takes a text (TF-IDF always does)."""
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
    note = dmc.Text("The first prediction takes longer because the model is loaded.", size="sm", c="dimmed")
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
    offered = (
        [dmc.Group([dmc.Text("Or choose a test row (label: text):", size="sm"), *buttons], gap="xs")] if buttons else []
    )
    return dmc.Stack([box, dmc.Group([button, note]), *offered, html.Div(id="try-refusal", role="status")], gap="xs")


def _answer_box(name: str, run: str, classifier: str, row: pd.Series, latent: str = "") -> Any:
    """A box with its own callback, so that slow or failed predictions do not affect the others."""
    title = result_title(row)
    line = f"Macro-F1 {score(row.macro_f1, row.macro_f1_low, row.macro_f1_high)} on the test rows."
    content = [
        dcc.Link("Open this result", href=link("/run", run=run, classifier=classifier)),
        dcc.Store(id={"type": "try-of", "name": name}, data=[run, classifier, latent]),
        dcc.Loading(html.Div(id={"type": "try-answer", "name": name}, style={"minHeight": 60}), delay_show=200),
    ]
    return section(title, content, line)


@callback(
    Output("try-query", "data"),
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
    """Accept the text, or show why it is rejected. A long text is not written to the URL."""
    if not clicks and not any(example_clicks):
        return [no_update] * 4
    text = examples[ctx.triggered_id["number"]] if isinstance(ctx.triggered_id, dict) else typed or ""
    problem = text_problem(text)
    if problem:
        return no_update, no_update, no_update, notice(problem, color="yellow")
    return text, text, text if len(text) < _IN_URL else "", None


def text_problem(text: str) -> str:
    """Why a text cannot be classified; "" if it can."""
    if not text.strip():
        return "Type a text first."
    if len(text) > LONGEST_TEXT:
        return f"The text has {len(text):,} characters; at most {LONGEST_TEXT:,} are accepted."
    return ""


@callback(
    Output({"type": "try-answer", "name": MATCH}, "children"),
    Input("try-query", "data"),
    State({"type": "try-of", "name": MATCH}, "data"),
    State({"type": "try-of", "name": MATCH}, "id"),
)
def _answer(query: str | dict[str, Any], settings: list[str], box: dict[str, str]) -> Any:
    """Predict the query for one box. query: a text, or an upload (see `decode_upload`)."""
    if not query:
        return dmc.Text("No input yet.", size="sm", c="dimmed")
    text = query if isinstance(query, str) else str(query.get("text") or "").strip()
    if (text or isinstance(query, str)) and (problem := text_problem(text)):
        return notice(problem, color="yellow")
    run, classifier, latent = settings
    index = tree().index()
    try:
        result = find_result(index, run, classifier)
        live, picture = _predict(query, result)
        if box["name"] == OWN:
            return full_answer(index, result, text, live, latent, picture)
        return short_answer(index, result, live, box["name"], picture)
    except SaefariError as error:
        return notice(str(error), "Prediction not possible", "orange")
    except Exception as error:  # a model may fail in any way; the other boxes must still work
        what = "text" if isinstance(query, str) else "image"
        logger.warning("this %s could not be classified", what, exc_info=True)
        return notice(f"The {what} could not be classified ({type(error).__name__}: {error}).", color="red")


def _predict(query: str | dict[str, Any], result: OneResult) -> tuple[LivePrediction, Picture | None]:
    """The prediction, and the image as the model received it, if any. Raises SaefariError."""
    layout = tree().layout
    if isinstance(query, str):
        return engine.predict(layout, result.folder, result.classifier, query), None
    image = decode_upload(query)
    live = engine.predict_image(layout, result.folder, result.classifier, image.content, image.text)
    return live, live_picture(live, image.name, result.row.model_type == "vit")


@callback(Output("try-tokens", "children"), Input(state_id("latent"), "value"), Input("try-activations", "data"))
def _colour(latent: str | None, stored: dict[str, Any]) -> Any:
    positions, activations = stored["latents"].get(latent or "", ([], []))
    values = np.zeros(len(stored["spans"]))
    values[positions] = activations
    spans = np.asarray(stored["spans"], dtype=np.int64).reshape(-1, 2)
    picture = stored.get("picture")
    if picture is not None:
        picture = Picture(**picture | {"grid": tuple(picture["grid"]), "patch": np.asarray(picture["patch"])})
    if latent == EVIDENCE:
        unit, line = "evidence", f"The positions sum to {values.sum():+.3g}, without the intercept."
    else:
        name = stored["names"].get(latent or "", f"latent {latent}")
        unit = f"activation of {name}"
        line = f"Strongest activation of {name} here: {values.max(initial=0):.3g}."
    line += f" Hover over a {'token' if picture is None else 'patch'} for its value."
    row = shaded_row(stored["text"], spans, picture, Shading(values, unit))
    return [row, dmc.Text(line, size="xs", c="dimmed")]
