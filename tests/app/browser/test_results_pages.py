"""Pages Run, Compare and Samples show the content of a result's files."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from saefari.store import read_codes_rows, read_predictions, read_result
from tests.app.browser.parts import (
    choose,
    click_point,
    column,
    control,
    figure,
    figure_with,
    part,
    reopen,
    rows,
    table,
)
from tests.app.browser.small_tree import DOUBTFUL, NAME

pytestmark = pytest.mark.browser

CELLS = "e => Array.from(e._fullData[0].z, row => Array.from(row))"
SHARES = "e._fullData[0].z.every(row => Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-6)"
N_NODES = "e._fullData.at(-1).customdata.length === values[0]"
METRIC = "e._fullLayout.yaxis.title.text === values[0]"

LONELIEST = """e => {
    const all = e._fullData.flatMap((t, i) => t.customdata
        ? Array.from(t.x, (x, j) => ({ x, y: t.y[j], found: [i, j, t.customdata[j]] })) : []);
    const room = a => Math.min(...all.filter(b => b !== a).map(b => Math.hypot(a.x - b.x, a.y - b.y)));
    return all.reduce((best, a) => room(a) > room(best) ? a : best).found;
}"""
"""[trace, point, row] of the most isolated point of the map, which no other point covers."""

WATCH_REST = """window.stood = {};
const send = window.fetch;
window.fetch = (url, options) => {
    const asked = /"output":"(run-[a-z]+)/.exec(options?.body)?.[1];
    if (asked) window.stood[asked] = document.querySelector(".figure .main-svg") !== null;
    return send(url, options);
};"""
"""Record for each requested part of the page Run whether a figure was already drawn."""


def test_a_run_opens_from_overview_and_runs_with_its_scores(page, app_url: str, small) -> None:
    page.goto(app_url)
    name = page.locator("#overview-classes tr").first.locator(".feature-name").filter(has_text=NAME)
    expect(name).to_have_attribute("title", re.compile(f"^latent {small.explained}: .*detection 0.75", re.DOTALL))
    page.get_by_role("link", name="Runs", exact=True).click()
    page.locator(f".ag-row a[href*='run={small.run(small.sae_result)}&classifier=linear']").first.click()
    page.wait_for_url(f"**{small.url('/run', small.sae_result)}*")
    expect(page.get_by_role("heading", name="Confusion matrix")).to_be_visible()
    score = read_result(small.sae_result)["classifiers"]["linear"]["macro_f1"]
    expect(page.locator("#content").get_by_text(f"{score:.3f}", exact=True).first).to_be_visible()


def test_sections_below_the_first_figure_are_requested_after_it(page, app_url: str, small) -> None:
    page.add_init_script(WATCH_REST)
    page.goto(app_url + small.url("/run", small.sae_result))
    assert column(page, "confused", "rows")
    figure(page, "features")
    assert page.evaluate("stood") == {"run-confused": True, "run-rest": True}


def test_plotly_is_loaded_before_the_first_figure(page, app_url: str) -> None:
    page.goto(app_url + "/runs")
    page.wait_for_function("window.Plotly")
    expect(page.locator(".figure")).to_have_count(0)


def test_the_confusion_matrix_switches_to_shares_and_its_permalink_too(page, app_url: str, small) -> None:
    stored = read_result(small.sae_result)["classifiers"]["linear"]["confusion"]
    page.goto(app_url + small.url("/run", small.sae_result))
    assert figure(page, "confusion").evaluate(CELLS) == stored
    control(page, "cells").get_by_text("% of the true class").click()
    figure_with(page, "confusion", SHARES)
    page.wait_for_url("**cells=share*")
    reopen(page)
    figure_with(page, "confusion", SHARES)


def test_another_class_shows_its_own_features(page, app_url: str, small) -> None:
    listed = read_result(small.sae_result)["classifiers"]["linear"]["top_features"]
    page.goto(app_url + small.url("/run", small.sae_result))
    choose(page, "shown_class", "scipy")
    heaviest = [small.title(one["feature"]) for one in listed["scipy"][:3]]
    expect(table(page, "features").get_by_role("link", name=heaviest[0], exact=True)).to_be_visible()
    assert [cell.splitlines()[0] for cell in column(page, "features", "name")[:3]] == heaviest
    page.wait_for_url("**shown_class=scipy*")
    reopen(page)
    expect(table(page, "features").get_by_role("link", name=heaviest[0], exact=True)).to_be_visible()
    table(page, "features").get_by_role("link", name=heaviest[0], exact=True).click()
    page.wait_for_url(f"**/latent?sae={small.sae}&latent={listed['scipy'][0]['feature']}*")
    expect(page.get_by_role("heading", name=heaviest[0])).to_be_visible()


def test_a_click_folds_a_tree_node_and_the_permalink_keeps_it(page, app_url: str, small) -> None:
    nodes = read_result(small.sae_result)["classifiers"]["tree"]["nodes"]
    page.goto(app_url + small.url("/run", small.sae_result, "tree"))
    click_point(page, figure_with(page, "tree", N_NODES, len(nodes)), -1, 0)
    figure_with(page, "tree", N_NODES, 1)
    page.wait_for_url("**collapsed=0*")
    reopen(page)
    click_point(page, figure_with(page, "tree", N_NODES, 1), -1, 0)
    figure_with(page, "tree", N_NODES, len(nodes))


def test_another_metric_changes_the_comparison_and_its_permalink(page, app_url: str) -> None:
    page.goto(app_url + "/compare")
    figure_with(page, "comparison", METRIC, "macro-F1")
    choose(page, "metric", "accuracy")
    figure_with(page, "comparison", METRIC, "accuracy")
    page.wait_for_url("**metric=accuracy*")
    reopen(page)
    figure_with(page, "comparison", METRIC, "accuracy")


def test_selected_results_are_shown_side_by_side(page, app_url: str, small) -> None:
    folders = [small.sae_result, small.tfidf_result]
    picks = "&".join(f"pick={small.run(folder)}.linear" for folder in folders)
    page.goto(f"{app_url}/compare?{picks}")
    scores = [f"{read_result(folder)['classifiers']['linear']['accuracy']:.3f}" for folder in folders]
    names = column(page, "picked", "name")
    for number, score in enumerate(scores, 1):
        assert column(page, "picked", str(number))[names.index("accuracy")].startswith(score)
    expect(page.get_by_role("heading", name="Selected results")).to_be_visible()
    page.get_by_role("link", name="remove").first.click()
    page.wait_for_url(f"**/compare?pick={small.run(small.tfidf_result)}.linear")
    expect(page.get_by_role("link", name="remove")).to_have_count(1)


def test_the_filter_wrong_shows_wrong_predictions(page, app_url: str, small) -> None:
    predictions = read_predictions(small.sae_result, "linear")
    wrong = int((predictions.labels != predictions.predicted).sum())
    page.goto(app_url + small.url("/samples", small.sae_result))
    choose(page, "show", "wrong")
    expect(page.locator("#samples-found")).to_have_text(f"{wrong} of {len(predictions.rows)} test rows.")
    assert set(column(page, "samples", "verdict")) == {"wrong"}
    page.wait_for_url("**show=wrong*")
    reopen(page)
    expect(page.locator("#samples-found")).to_have_text(f"{wrong} of {len(predictions.rows)} test rows.")


def test_a_picked_row_is_coloured_by_the_chosen_latent(page, app_url: str, small) -> None:
    page.goto(app_url + small.url("/samples", small.sae_result))
    rows(page, "samples").nth(3).click()
    row = int(rows(page, "samples").nth(3).get_attribute("row-id"))
    page.wait_for_url(f"**row={row}*")
    expect(page.locator("#sample-facts").get_by_text(f"Row {row},")).to_be_visible()
    shard = read_codes_rows(small.samples / "layer_3" / "3k", [row])
    values = [shard.values[shard.indices == latent] for latent in range(shard.d_sae)]
    latent = int(np.argmax([value.max(initial=0) for value in values]))
    control(page, "latent").click()
    page.get_by_role("option", name=re.compile(f"^{re.escape(small.title(latent))}(,| \\()")).click()
    caption = re.compile(f"Latent {latent}\\b.* is active at")
    expect(page.locator("#sample-text").get_by_text(caption)).to_be_visible()
    shown = page.locator("#sample-text [data-value]").evaluate_all("all => all.map(e => e.dataset.value)")
    assert shown == [f"{value:.4g}" for value in values[latent]]
    page.wait_for_url(f"**latent={latent}*")
    reopen(page)
    expect(page.locator("#sample-text [data-value]")).to_have_count(len(shown))
    expect(page.locator("#sample-facts").get_by_text(f"Row {row},")).to_be_visible()


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf"])
def test_contributions_add_up_to_the_logit(page, app_url: str, small, source: str) -> None:
    folder = {"sae": small.sae_result, "hidden": small.hidden_result, "tfidf": small.tfidf_result}[source]
    page.goto(app_url + small.url("/samples", folder))
    expect(page.locator(".check")).to_have_count(2)
    for line in page.locator(".check").all_text_contents():
        found = re.fullmatch(r"intercept (\S+) \+ ([\d,]+) contributions \((\S+)\) = logit (\S+)", line)
        assert found, line
        assert float(found[1]) + float(found[3]) == pytest.approx(float(found[4]), abs=0.002)
        assert float(found[3]) != 0


def test_a_click_on_the_map_opens_that_row(page, app_url: str, small) -> None:
    page.goto(app_url + small.url("/samples", small.sae_result))
    expect(page.locator("#sample-facts").get_by_text("Row ")).to_be_visible()
    opened = page.locator("#sample-facts").text_content()
    shown = figure_with(page, "samples-map", "e._fullData.length > 1")
    trace, point, row = shown.evaluate(LONELIEST)
    assert f"Row {row}," not in opened
    click_point(page, shown, trace, point)
    expect(page.locator("#sample-facts").get_by_text(f"Row {row},")).to_be_visible()
    expect(table(page, "samples").locator(".ag-row-selected")).to_have_attribute("row-id", str(row))
    page.wait_for_url(f"**row={row}*")


def test_a_contribution_leads_to_the_latents_page(page, app_url: str, small) -> None:
    page.goto(app_url + small.url("/samples", small.sae_result))
    link = table(page, "contributions").get_by_role("link", name=re.compile("^latent ")).first
    number = link.text_content().removeprefix("latent ")
    link.click()
    page.wait_for_url(f"**/latent?sae={small.sae}&latent={number}*")
    expect(page.get_by_role("heading", name=f"Latent {number}", exact=True)).to_be_visible()


def test_a_tree_shows_the_path_of_a_row(page, app_url: str, small) -> None:
    page.goto(app_url + small.url("/samples", small.sae_result, "tree"))
    steps = page.locator("#sample-reasons ol li")
    expect(steps.first).to_be_visible()
    way = figure_with(page, "path", "e._fullData.length === 7")
    boxes_on_the_way = way.evaluate("e => e._fullData[3].x.filter(x => x === null).length")
    assert steps.count() == boxes_on_the_way - 1  # every node except the leaf has a condition
    grey = page.locator("#sample-reasons li .doubtful")
    expect(grey.filter(has_text=f"{DOUBTFUL} {small.doubtful}, not above its controls").first).to_be_visible()
    sentence = page.locator("#sample-reasons .decision")
    expect(sentence).to_have_text(
        re.compile(r"^Predicted .+ \(probability .+\): the text has .+ class is .+\.$|close\.$")
    )


def test_a_table_is_downloaded_as_csv(page, app_url: str, tmp_path: Path) -> None:
    page.goto(app_url + "/runs")
    expect(rows(page, "runs").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export the table runs as CSV").click()
    download.value.save_as(tmp_path / "runs.csv")
    assert download.value.suggested_filename == "saefari-runs.csv"
    with (tmp_path / "runs.csv").open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 22
    assert {line["source"] for line in lines} == {"sae", "hidden", "tfidf", "majority"}


def test_a_figure_is_downloaded_as_svg(page, app_url: str, small, tmp_path: Path) -> None:
    page.goto(app_url + small.url("/run", small.sae_result))
    expect(figure(page, "confusion").locator(".modebar-btn")).to_have_count(6)  # no upload button
    with page.expect_download() as download:
        part(page, "svg", "confusion").click()
    download.value.save_as(tmp_path / "confusion.svg")
    assert download.value.suggested_filename == "saefari-confusion.svg"
    assert (tmp_path / "confusion.svg").read_text().startswith("<svg")
