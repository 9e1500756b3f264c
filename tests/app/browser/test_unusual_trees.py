"""Unusual trees: damaged, changed while the app runs, imported, or with markup in texts."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.shared.data.file_cache import short_id
from saefari.pipeline.commands.cli import main
from saefari.store import read_result
from tests.app.browser.parts import column, figure_with, part, rows, table
from tests.app.browser.small_tree import EXPLANATION, MARKUP, MARKUP_CLASSES, NAME, SmallTree
from tests.app.browser.test_every_page import CONTENT
from tests.store.mosaic_tree import write_mosaic_tree

pytestmark = pytest.mark.browser


def test_a_complete_tree_has_no_problems(page, app_url: str) -> None:
    page.goto(app_url + "/health")
    expect(page.get_by_text("No problems found")).to_be_visible()
    assert set(column(page, "manifests", "state")) == {"complete"}


@pytest.fixture(scope="module")
def damaged(serve, small: SmallTree, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, SmallTree]:
    """(address, tree): a truncated shard, an incomplete result, and a manifest of another program."""
    tree = SmallTree(tmp_path_factory.mktemp("damaged") / "output")
    shutil.copytree(small.output, tree.output)
    shard = tree.samples / "layer_3" / "3k" / "shard-00000.npz"
    shard.write_bytes(shard.read_bytes()[:1000])
    half = tree.hidden_result / "results.json"
    half.write_text(half.read_text()[:2000])
    foreign = tree.samples / "layer_7" / "elsewhere" / "manifest.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"name": "another program", "shards": "none"}')
    return serve(tree.output), tree


def test_damaged_files_are_listed(page, damaged) -> None:
    url, tree = damaged
    page.goto(url + "/health")
    expect(page.get_by_text("Problems found")).to_be_visible()
    listed = column(page, "problems", "file")
    assert (tree.hidden_result / "results.json").relative_to(tree.output).as_posix() in listed
    assert (tree.samples / "layer_7/elsewhere/manifest.json").relative_to(tree.output).as_posix() in listed
    assert "damaged" in column(page, "manifests", "state")


@pytest.mark.parametrize("path", CONTENT)
def test_a_page_of_a_damaged_tree_still_opens(page, damaged, path: str) -> None:
    """The part that needs a damaged file shows a notice; other parts still load."""
    url, tree = damaged
    pages = {
        "/": ("/", "#overview-next a"),
        "/latent": (f"/latent?sae={tree.sae}&codes={tree.codes}", "#latent-activity [role=alert]"),
        "/samples": (tree.url("/samples", tree.sae_result), "#sample-reasons [role=alert]"),
        "/run": (tree.url("/run", tree.hidden_result), "#content [role=alert]"),
    }
    where, selector = pages.get(path, (path, "#content h1"))
    page.goto(url + where)
    expect(page.locator(selector).first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_markup_in_texts_and_labels_is_shown_as_text(page, app_url: str, small: SmallTree) -> None:
    page.goto(app_url + small.url("/samples", small.markup_result))
    expect(page.locator("#sample-text").get_by_text(MARKUP)).to_be_visible()
    expect(page.locator("#sample-facts").get_by_text("True class: ")).to_be_visible()
    figure_with(page, "samples-map", "e._fullData.length > 1")
    unharmed(page)
    page.goto(app_url + small.url("/run", small.markup_result))
    assert sorted(column(page, "classes", "class")) == sorted(MARKUP_CLASSES)
    confusion = figure_with(page, "confusion", "true")
    confusion.evaluate("e => Plotly.Fx.hover(e, [{ xval: 0, yval: 0, curveNumber: 0, pointNumber: [0, 0] }])")
    unharmed(page)


def test_markup_in_an_explanation_is_shown_as_text(page, app_url: str, small: SmallTree) -> None:
    page.goto(f"{app_url}/latent?sae={small.sae}&latent={small.explained}")
    expect(page.get_by_text(EXPLANATION, exact=True).first).to_be_visible()
    heading = f"{NAME} latent {small.explained} · detection 0.75"
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    assert column(page, "latent-scores", "verdict") == ["above"]
    unharmed(page)
    page.goto(f"{app_url}/latents?sae={small.sae}&codes={small.codes}&search=onerror")
    expect(page.locator("#latents-count")).to_have_text("1 of 512 latents")
    assert column(page, "latents", "explanation") == [EXPLANATION]
    unharmed(page)
    page.goto(app_url + small.url("/run", small.sae_result))
    assert EXPLANATION in column(page, "features", "explanation")
    assert NAME in [cell.splitlines()[0] for cell in column(page, "features", "name")]
    bars = figure_with(page, "features", "true")
    place = bars.evaluate(
        "(e, n) => e._fullData[0].customdata.findIndex(href => href.includes(n))", f"={small.explained}&"
    )
    bars.evaluate("(e, i) => Plotly.Fx.hover(e, [{ curveNumber: 0, pointNumber: i }])", place)
    expect(bars.locator(".hovertext")).to_contain_text("<b>names</b> of tensors")
    expect(bars.locator(".hovertext")).to_contain_text("controls: shuffled explanations 0.52")
    expect(bars.locator(".ytick").filter(has_text=f"({small.explained})")).to_contain_text(NAME[:12])
    unharmed(page)


def test_markup_in_an_input_is_shown_as_text(page, app_url: str, small: SmallTree) -> None:
    page.goto(app_url + small.url("/try", small.markup_result))
    page.get_by_label("Text", exact=True).fill(f"a bridge {MARKUP}")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#answer-own")).to_be_visible(timeout=60_000)
    expect(page.locator("#try-tokens").get_by_text(f"a bridge {MARKUP}")).to_be_visible()
    unharmed(page)


def unharmed(page) -> None:
    """Check that no script of a text has run and none of its elements exists."""
    assert page.evaluate("window.ran") is None
    expect(page.locator("img[src*='nowhere'], b[onmouseover]")).to_have_count(0)


def test_imported_mosaic_results_open(page, serve, tmp_path: Path) -> None:
    write_mosaic_tree(tmp_path / "theirs")
    assert main(["import-mosaic", str(tmp_path / "theirs"), "--output-dir", str(tmp_path / "output")]) == 0
    url = serve(tmp_path / "output")
    page.goto(url + "/runs")
    expect(rows(page, "runs").first).to_be_visible()
    links = page.locator(".ag-row a").evaluate_all("all => all.map(e => e.getAttribute('href'))")
    assert len(links) > 10
    for classifier, content in (("linear", "features"), ("tree", "tree")):
        page.goto(url + next(link for link in links if link.endswith(f"classifier={classifier}")))
        expect(page.get_by_text("Imported from elsewhere")).to_be_visible()
        figure_with(page, "roc", "true")
        figure_with(page, content, "true")
        expect(page.get_by_text("cannot be shown")).to_have_count(0)
    sae = short_id("google--gemma-2-2b/Anthropic--election_questions/test/layer_12/16k/sum_top0_bin-none")
    page.goto(f"{url}/run?run={sae}&classifier=linear")
    latents = table(page, "features").locator(
        "a[href^='https://www.neuronpedia.org/gemma-2-2b/12-gemmascope-res-16k/']"
    )
    expect(latents.first).to_be_visible()
    page.goto(url + "/compare")
    figure_with(page, "comparison", "true")
    figure_with(page, "heat", "true")
    expect(page.get_by_text("best test score is shown")).to_be_visible()
    expect(part(page, "grid", "win-rates")).to_be_visible()


def test_a_new_result_shows_without_a_restart(page, serve, small: SmallTree, tmp_path: Path) -> None:
    tree = SmallTree(tmp_path / "output")
    shutil.copytree(small.output / "classifications", tree.output / "classifications")
    (tree.output / "classifications" / "summary.csv").unlink()
    shutil.rmtree(tree.tfidf_result)
    url = serve(tree.output)
    page.goto(url + "/runs?group=source&group=dataset")
    expect(rows(page, "runs")).to_have_count(7)
    page.goto(url + tree.url("/run", tree.tfidf_result))
    expect(page.get_by_role("alert")).to_be_visible()
    shutil.copytree(small.tfidf_result, tree.tfidf_result)
    until = time.monotonic() + 20
    while part(page, "graph", "confusion").count() == 0 and time.monotonic() < until:
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    score = read_result(tree.tfidf_result)["classifiers"]["linear"]["accuracy"]
    expect(page.get_by_text(f"{score:.3f}", exact=True).first).to_be_visible()
    page.goto(url + "/runs?group=source&group=dataset")
    expect(rows(page, "runs")).to_have_count(8)
