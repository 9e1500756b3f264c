"""The app: pages, shell, and what protects it."""

from __future__ import annotations

from pathlib import Path

import dash
import flask
from dash import ALL, ClientsideFunction, Dash, Input, Output, State

from app.shared.data.images.served import ROUTE, media_type, served_view
from app.shared.data.images.upload import MOST_BYTES
from app.shared.data.tree import OutputTree
from app.shared.parts.shell import shell

MOST_OF_A_REQUEST = MOST_BYTES * 4 // 3 + 1024 * 1024
"""Bytes: an image that may be tried, as text, and what comes along with it."""
_FOLDER = Path(__file__).parent
_PLOTLY = {"src": "/_dash-component-suites/plotly/package_data/plotly.min.js", "defer": "defer"}
"""What draws figures, run before the page's content is there; Dash would load it only with the first figure."""


def create_app(output: Path, loopback_only: bool = True) -> Dash:
    """The dashboard of an output folder.

    loopback_only: answer only requests that name this machine, so that no web page can reach the app through a name
    that it makes point here.
    """
    server = flask.Flask("saefari")
    server.config["SAEFARI_TREE"] = OutputTree(output)
    server.config["MAX_CONTENT_LENGTH"] = MOST_OF_A_REQUEST
    if loopback_only:
        server.config["TRUSTED_HOSTS"] = ["localhost", "127.0.0.1", "[::1]"]
    server.after_request(_protect)
    server.add_url_rule(ROUTE, "view", _view)
    app = Dash(
        "app",
        server=server,  # type: ignore[arg-type]  # dash's stubs forget that it takes a Flask
        use_pages=True,
        pages_folder=str(_FOLDER / "pages"),
        assets_folder=str(_FOLDER / "assets"),
        external_scripts=[_PLOTLY],
        title="SAEfari",
        update_title="SAEfari",
        suppress_callback_exceptions=True,
    )
    app.layout = shell(dash.page_container)
    app.clientside_callback(
        ClientsideFunction("saefari", "rememberState"),
        Output("state-written", "data"),
        Input({"type": "state", "name": ALL}, "value"),
        State({"type": "state", "name": ALL}, "id"),
        prevent_initial_call=True,
    )
    return app


def _view(split: str, version: str, row: int) -> flask.Response:
    """A row's image; its address says which content it has, so the browser may keep it."""
    found = served_view(split, row)
    kind = media_type(found) if found else None
    if found is None or (found and kind is None):
        flask.abort(404)
    response = flask.Response(found, 200 if found else 204, mimetype=kind)
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


def _protect(response: flask.Response) -> flask.Response:
    """Nothing is loaded from elsewhere, and no other page may frame this one."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
