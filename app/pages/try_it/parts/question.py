"""Form for an image: a file from this computer and, for some models, a text beside it."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html

from app.shared.data.images.upload import FORMATS, MOST_BYTES, MOST_PIXELS
from app.shared.parts.page import notice


def image_question(samples: str, with_text: bool) -> dmc.Stack:
    """The form. samples: URL of the page with the test rows. with_text: whether the model reads a text as well."""
    limits = f"{', '.join(FORMATS)}; up to {MOST_BYTES // 2**20} MB and {MOST_PIXELS // 10**6} million pixels."
    button = html.Button("Choose an image", id="try-image-choose", type="button", className="choose")
    drop = dcc.Upload(
        [button, " or drop one here."], id="try-image-file", className="drop", className_active="drop over"
    )
    limit: dict[str, Any] = {"data-most-bytes": str(MOST_BYTES)}
    live: dict[str, Any] = {"aria-live": "polite"}
    text = dmc.Textarea(
        id="try-image-text",
        label="Text beside the image (optional)",
        autosize=True,
        minRows=2,
        maxRows=8,
        display="block" if with_text else "none",
    )
    note = "Images stay in memory and are not written to disk. The first prediction loads the model and takes longer."
    return dmc.Stack(
        [
            dmc.Text(["Image from this computer: ", limits], size="sm"),
            html.Div(drop, **limit),
            dmc.Text("No image chosen yet.", id="try-image-name", size="sm", **live),
            text,
            dmc.Group([dmc.Button("Classify", id="try-image-classify"), dmc.Text(note, size="sm", c="dimmed")]),
            dmc.Text(["The test rows are on the page ", dcc.Link("Samples", href=samples), "."], size="sm"),
            dcc.Store(id="try-image-problem", data=""),
            html.Div(id="try-image-refusal", role="status"),
        ],
        gap="xs",
    )


@callback(Output("try-image-refusal", "children"), Input("try-image-problem", "data"))
def _refuse(problem: str | None) -> Any:
    return notice(problem, color="yellow") if problem else None


clientside_callback(
    ClientsideFunction("saefari", "nameImage"),
    Output("try-image-name", "children"),
    Output("try-image-problem", "data", allow_duplicate=True),
    Input("try-image-file", "contents"),
    State("try-image-file", "filename"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("saefari", "submitImage"),
    Output("try-query", "data", allow_duplicate=True),
    Output("try-image-problem", "data", allow_duplicate=True),
    Input("try-image-classify", "n_clicks"),
    State("try-image-file", "contents"),
    State("try-image-file", "filename"),
    State("try-image-text", "value"),
    prevent_initial_call=True,
)
