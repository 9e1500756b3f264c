"""Loading times of dashboard pages in a browser, for a tree with 10,000 rows of results.

The tree is the default experiment on fewer rows, copied under other model names: 100 results with all files, then
results without estimators and predictions.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
N_ROWS = 10_000
N_COMPLETE = 100
REPEATS = 5
FIRST_PAGE, FILTER, RUN_PAGE = 2.0, 0.3, 1.0
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, help="keep the generated tree here, and use it again")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        output = flags.tree or Path(scratch) / "output"
        if not output.exists():
            generate(output)
        with serving(output) as url:
            measure(url, output)


def generate(output: Path) -> None:
    """Write the tree."""
    from saefari.report.results.summary import write_summary
    from saefari.store import Layout, iter_results

    settings = {
        "settings.base_save_dir": output / "activations",
        "settings.base_classify_dir": output / "classifications",
        "settings.max_samples": 2000,
        "models[0].sae_train.n_positions": 50_000,
    }
    changes = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
    command = [sys.executable, "run_experiments.py", "--config", "conf.yaml", *changes]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = output / "classifications"
    originals = [(folder, record) for folder, record in iter_results(results) if record["settings"]["model"]]
    [model] = {folder.relative_to(results).parts[0] for folder, _ in originals}
    for copy in range(1, -(-N_COMPLETE // len(originals))):
        name = f"{model}-{copy:02d}"
        shutil.copytree(output / "activations" / model, output / "activations" / name)
        for folder, record in originals:
            place = results / name / folder.relative_to(results / model)
            shutil.copytree(folder, place)
            _write(place, record, name, [path.replace(model, name) for path in record["samples"]])
    n_rows = sum(len(record["summary"]) for _, record in iter_results(results))
    for copy in range((N_ROWS - n_rows) // 2):
        folder, record = originals[copy % len(originals)]
        name = f"model-{copy // len(originals):04d}"
        _write(results / name / folder.relative_to(results / model), record, name, [])
    rows = write_summary(Layout.below(output).summary)
    print(f"{len(rows):,} rows of results, {N_COMPLETE} results with all their files")


def _write(folder: Path, record: dict[str, Any], model: str, samples: list[str]) -> None:
    """Return the record with another model name."""
    summary = [row | {"model": model} for row in record["summary"]]
    changed = record | {"settings": record["settings"] | {"model": model}, "samples": samples, "summary": summary}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(changed))


@contextmanager
def serving(output: Path) -> Iterator[str]:
    """Run the app and yield its URL."""
    command = [sys.executable, "app/main.py", "--output-dir", str(output), "--no-browser", "--port", "8250"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield next("http://" + line.split("http://")[1].split("/")[0] for line in process.stdout if "http://" in line)
        process.terminate()


def measure(url: str, output: Path) -> None:
    """Print the median times."""
    from playwright.sync_api import sync_playwright

    from app.shared.data.tree import OutputTree

    index = OutputTree(output).index()
    complete = [run for run, folder in index.folders.items() if (folder / "linear.skops").exists()]
    runs = [f"{url}/run?run={run}&classifier=linear" for run in complete[:: max(1, len(complete) // REPEATS)]]
    browser_path = next(filter(None, map(shutil.which, CHROMIUM)))
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=browser_path, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{url}/runs")  # warm up: imports of the server and its first read of the tree
        page.wait_for_selector(".ag-center-cols-container .ag-row")
        _show("the page Runs, after the server's answer", [_first_page(page, url) for _ in range(REPEATS)], FIRST_PAGE)
        _show("a filter over all rows", [_filter(page, word) for word in ("tfidf", "hidden", "sae") * 2], FILTER)
        _show("a run, opened from the table", [_click_run(page, url, i) for i in range(REPEATS)], RUN_PAGE)
        _show("a run, opened by its URL", [_open_run(page, run) for run in runs], RUN_PAGE)
        browser.close()


def _first_page(page: Any, url: str) -> float:
    """Measure from the end of the server's response until rows are shown and the browser is idle."""
    page.goto(f"{url}/runs")
    page.wait_for_selector(".ag-center-cols-container .ag-row")
    idle = page.evaluate("() => new Promise(done => requestIdleCallback(() => done(performance.now())))")
    answered = page.evaluate("performance.getEntriesByType('navigation')[0].responseEnd")
    return float(idle - answered) / 1000


def _filter(page: Any, word: str) -> float:
    """Measure from the last key until the number of rows changes."""
    if not page.locator(".ag-filter input[type=text]").count():
        page.locator('.ag-header-cell[col-id="source"] .ag-header-cell-filter-button').click()
    count = ".ag-paging-row-summary-panel"
    before = page.inner_text(count)
    return _timed(
        lambda: page.locator(".ag-filter input[type=text]").first.fill(word),
        lambda: page.wait_for_function(f"document.querySelector('{count}').innerText !== {json.dumps(before)}"),
    )


def _click_run(page: Any, url: str, row: int) -> float:
    """Measure from a click on a row's link until the first figure of the run is shown."""
    page.goto(f"{url}/runs")
    links = page.locator(".ag-pinned-left-cols-container a")
    links.nth(row).wait_for()
    return _timed(lambda: links.nth(row).click(), lambda: page.wait_for_selector(".js-plotly-plot .main-svg"))


def _open_run(page: Any, url: str) -> float:
    """Measure from opening the URL, with cached scripts, until the first figure is shown."""
    return _timed(lambda: page.goto(url), lambda: page.wait_for_selector(".js-plotly-plot .main-svg"))


def _timed(start: Callable[[], Any], wait: Callable[[], Any]) -> float:
    began = time.perf_counter()
    start()
    wait()
    return time.perf_counter() - began


def _show(what: str, seconds: list[float], goal: float) -> None:
    print(
        f"{what:40s} {median(seconds):5.2f} s   (goal: within {goal:g} s; all: {' '.join(f'{s:.2f}' for s in seconds)})"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
