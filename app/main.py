"""Command `python app/main.py`: serve the dashboard on this machine and open it in a browser."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: sys.path holds app/, imports need its parent
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

BAD_INPUT = 2
_PORTS_TRIED = 50


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the dashboard's flags to a parser."""
    parser.add_argument("--output-dir", default="output", metavar="DIR", help="the output tree; default: output")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: this machine only")
    parser.add_argument("--port", default=8050, type=int, help="default: 8050, or the next free one")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser tab")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse flags and serve until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="app/main.py", description="Browse results, latents and samples in a browser."
    )
    add_flags(parser)
    return serve(parser.parse_args(arguments))


def serve(flags: argparse.Namespace) -> int:
    """Listen, open the browser and answer requests; return the exit code."""
    try:
        listener = _listen(flags.host, flags.port)
    except (OSError, OverflowError) as error:
        print(f"error: cannot listen on {flags.host} port {flags.port}: {error}", file=sys.stderr)
        return BAD_INPUT
    with listener:
        port = listener.getsockname()[1]
        loopback = _is_loopback(flags.host)
        url = f"http://{'127.0.0.1' if flags.host == '0.0.0.0' else flags.host}:{port}/"
        if port != flags.port:
            print(f"Port {flags.port} is taken; using the next free one: {port}.")
        if not loopback:
            print(
                f"Warning: listening on {flags.host}. Everyone who reaches this machine can read the results, texts, "
                "images and explanations, and can classify their own inputs. There is no password."
            )
        from waitress.server import create_server

        from app.server import MAX_REQUEST_BYTES, create_app

        dash = create_app(Path(flags.output_dir), loopback_only=loopback)
        print(f"SAEfari shows {flags.output_dir} on {url} (Ctrl+C stops it)", flush=True)
        server = create_server(
            dash.server,
            sockets=[listener],
            threads=8,
            ident=None,
            max_request_body_size=MAX_REQUEST_BYTES,
            inbuf_overflow=MAX_REQUEST_BYTES,  # larger bodies go to a temporary file; uploads must stay in memory
            outbuf_overflow=MAX_REQUEST_BYTES,
        )
        if not flags.no_browser:
            threading.Timer(0.5, webbrowser.open_new_tab, [url]).start()
        server.run()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Bind a socket to the port or the next free one. Raises OSError if the host is not an address of this machine."""
    family = socket.getaddrinfo(host, port)[0][0]
    for candidate in range(port, port + _PORTS_TRIED):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # also just after a dashboard stopped
        try:
            listener.bind((host, candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return listener
    raise OSError(f"ports {port} to {port + _PORTS_TRIED - 1} are all taken")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    raise SystemExit(main())
