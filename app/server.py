"""The Dash app: pages, shell, security headers and the image route."""

from __future__ import annotations

from pathlib import Path

import dash
import flask
from dash import ALL, ClientsideFunction, Dash, Input, Output, State

from app.shared.data.images.served import ROUTE, media_type, served_view
from app.shared.data.images.upload import MOST_BYTES
from app.shared.data.tree import OutputTree
from app.shared.parts.shell import shell

MAX_REQUEST_BYTES = MOST_BYTES * 4 // 3 + 1024 * 1024
"""An uploaded image in base64, plus 1 MiB for the rest of the request."""
_FOLDER = Path(__file__).parent
_PLOTLY = {"src": "/_dash-component-suites/plotly/package_data/plotly.min.js", "defer": "defer"}
"""Plotly, loaded before the page's content; Dash would load it only with the first figure."""


def create_app(output: Path, loopback_only: bool = True) -> Dash:
    """Create the dashboard of an output folder. Create one app per process.

    Dash gives the callbacks of imported modules to the first app that answers a request; a second one would lack them.
    loopback_only: reject requests whose Host header is not this machine (protection against DNS rebinding).
    """
    server = flask.Flask("saefari")
    server.config["SAEFARI_TREE"] = OutputTree(output)
    server.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    if loopback_only:
        server.config["TRUSTED_HOSTS"] = ["localhost", "127.0.0.1", "[::1]"]
    server.before_request(_old_address)
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
    """Serve a row's image. Its URL changes with its content, so the browser may cache it."""
    found = served_view(split, row)
    kind = media_type(found) if found else None
    if found is None or (found and kind is None):
        flask.abort(404)
    response = flask.Response(found, 200 if found else 204, mimetype=kind)
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


def _old_address() -> flask.typing.ResponseReturnValue | None:
    """Redirect an address of Runs from when it was the first page: it has the parameters of that page's controls."""
    if flask.request.path == "/" and {"group", "filters"} & set(flask.request.args):
        return flask.redirect(f"/runs?{flask.request.query_string.decode('latin-1')}")
    return None


def _protect(response: flask.Response) -> flask.Response:
    """Set headers: load nothing from other origins, and forbid framing."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
