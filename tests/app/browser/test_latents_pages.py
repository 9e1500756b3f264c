"""Pages Latent, Latents, SAEs and Try it show the numbers of stored codes, measurements and predictions."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
from playwright.sync_api import expect

from saefari.store import read_codes_rows, read_predictions, read_sample_rows, read_samples
from tests.app.browser.parts import choose, column, control, figure, reopen, rows, table
from tests.app.browser.small_tree import DOUBTFUL, EXPLANATION, NAME, SmallTree

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def often(small: SmallTree) -> tuple[int, np.ndarray]:
    """(the most frequently active latent of the documentation, its largest activation per row, float [n])."""
    samples = read_samples(small.samples, ["row"])["row"].to_pylist()
    shard = read_codes_rows(small.samples / "layer_3" / "3k", samples)
    latent = int(np.bincount(shard.indices).argmax())
    position = np.repeat(np.arange(len(shard.indptr) - 1), np.diff(shard.indptr))
    mine = shard.indices == latent
    largest = np.zeros(len(samples))
    np.maximum.at(largest, np.searchsorted(shard.offsets, position[mine], side="right") - 1, shard.values[mine])
    return latent, largest


def test_contexts_are_coloured_strongest_first(page, app_url: str, small: SmallTree, often) -> None:
    latent, largest = often
    page.goto(f"{app_url}/latent?sae={small.sae}&latent={latent}&codes={small.codes}")
    contexts = page.locator("#latent-activity .contexts li")
    expect(contexts.first).to_be_visible()
    peaks = [float(text) for text in contexts.locator("b").all_text_contents()]
    np.testing.assert_allclose(peaks, np.sort(largest)[::-1][: len(peaks)], rtol=5e-3)
    strongest = contexts.first.locator("[data-value]").evaluate_all("all => all.map(e => Number(e.dataset.value))")
    assert max(strongest) == pytest.approx(peaks[0], rel=5e-3)
    expect(page.get_by_text(f"{(largest > 0).sum():,}", exact=True).first).to_be_visible()


def test_previous_and_next_walk_through_the_latents(page, app_url: str, small: SmallTree) -> None:
    page.goto(f"{app_url}/latent?sae={small.sae}&latent=0&codes={small.codes}")
    expect(page.get_by_role("heading", name="Latent 0", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="previous")).to_have_count(0)
    page.get_by_role("link", name="next").click()
    expect(page.get_by_role("heading", name="Latent 1", exact=True)).to_be_visible()
    page.wait_for_url(re.compile("latent=1(&|$)"))
    page.get_by_role("link", name="previous").click()
    expect(page.get_by_role("heading", name="Latent 0", exact=True)).to_be_visible()
    page.get_by_label("Latent", exact=True).fill("7")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="Latent 7", exact=True)).to_be_visible()


def test_deciles_are_ordered_from_strong_to_weak(page, app_url: str, small: SmallTree, often) -> None:
    page.goto(f"{app_url}/latent?sae={small.sae}&latent={often[0]}&codes={small.codes}")
    shown = page.locator("#latent-deciles .contexts li")
    expect(shown).to_have_count(10)
    peaks = [float(text) for text in shown.locator("b").all_text_contents()]
    assert peaks == sorted(peaks, reverse=True)
    choose(page, "decile", "decile 1 (weakest)")
    expect(shown.filter(has_text="decile 5")).to_have_count(0)
    weakest = np.quantile(often[1][often[1] > 0], 0.2)
    assert all(float(text) <= weakest for text in shown.locator("b").all_text_contents())
    page.wait_for_url("**decile=1*")
    reopen(page)
    expect(control(page, "decile")).to_have_value("decile 1 (weakest)")
    expect(shown.filter(has_text="decile 5")).to_have_count(0)


def test_class_association_is_that_of_the_codes(page, app_url: str, small: SmallTree, often) -> None:
    latent, largest = often
    labels = read_samples(small.samples, ["label"])["label"].to_pylist()
    of_class = Counter(labels)
    fires = Counter(label for label, peak in zip(labels, largest, strict=True) if peak > 0)
    page.goto(f"{app_url}/latent?sae={small.sae}&latent={latent}&codes={small.codes}")
    datasets, classes = column(page, "latent-classes", "dataset"), column(page, "latent-classes", "class")
    fires_in, lifts = column(page, "latent-classes", "fires"), column(page, "latent-classes", "lift")
    compared = 0
    for dataset, name, number, lift in zip(datasets, classes, fires_in, lifts, strict=True):
        if dataset == "python-docs/train":
            assert int(number) == fires[name]
            wanted = (fires[name] / of_class[name]) / (fires.total() / len(labels))
            assert float(lift) == pytest.approx(wanted, abs=0.006)
            compared += 1
    assert compared >= 2


def test_probes_that_use_a_latent_are_listed(page, app_url: str, small: SmallTree) -> None:
    page.goto(f"{app_url}/latent?sae={small.sae}&latent={small.explained}")
    links = table(page, "latent-usage").locator(f"a[href*='run={small.run(small.sae_result)}']")
    links.first.click()
    page.wait_for_url(f"**/run?run={small.run(small.sae_result)}*")


@pytest.mark.parametrize(
    "url",
    [
        "/latent?sae=nowhere",
        "/latent?sae={sae}&latent=999999",
        "/latent?sae={sae}&latent=one",
        "/latents?sae=nowhere",
        "/saes?sae=nowhere",
        "/run?run=nowhere&classifier=linear",
        "/run?run={run}&classifier=forest",
        "/samples?run=..%2F..%2Fetc&classifier=linear",
        "/samples?run={run}&classifier=linear&row=999999",
        "/compare?pick=nowhere.linear",
        "/try?run=nowhere&classifier=linear",
    ],
)
def test_unknown_ids_have_a_notice(page, app_url: str, small: SmallTree, url: str) -> None:
    page.goto(app_url + url.format(sae=small.sae, run=small.run(small.sae_result)))
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text=re.compile("cannot be shown|Error"))).to_have_count(0)


def test_latents_are_searched_filtered_and_sorted(page, app_url: str, small: SmallTree) -> None:
    page.goto(f"{app_url}/latents?sae={small.sae}&codes={small.codes}")
    count = page.locator("#latents-count")
    expect(count).to_have_text("512 of 512 latents")
    in_view = table(page, "latents").evaluate(
        """e => {
            const view = e.querySelector('.ag-body-viewport').getBoundingClientRect();
            const seen = row => { const box = row.getBoundingClientRect();
                                  return box.top >= view.top - 1 && box.bottom <= Math.min(view.bottom, innerHeight); };
            return [...e.querySelectorAll('.ag-center-cols-container .ag-row')].filter(seen).length;
        }"""
    )
    assert in_view >= 3
    table(page, "latents").locator(".ag-header-cell[col-id='density'] .ag-header-cell-label").click()
    page.wait_for_url("**sort=density%3Aasc*")
    table(page, "latents").locator(".ag-header-cell[col-id='density'] .ag-header-cell-label").click()
    page.wait_for_url("**sort=density%3Adesc*")
    densest = table(page, "latents").locator(".ag-row[row-index='0'] [col-id='density']")
    expect(densest).to_have_text(re.compile(r"^0\.\d*[1-9]\d*$"))
    expect(table(page, "latents").locator(".ag-row [col-id='density']").filter(has_not_text=".")).to_have_count(0)
    densities = [float(text) for text in column(page, "latents", "density")]
    assert densities == sorted(densities, reverse=True)
    reopen(page)
    expect(count).to_have_text("512 of 512 latents")
    expect(densest).to_have_text(f"{densities[0]:.5f}")

    choose(page, "show", "dead: never active")
    expect(count).not_to_have_text("512 of 512 latents")
    expect(table(page, "latents").locator(".ag-row[row-index='0'] [col-id='density']")).to_have_text("0.00000")
    choose(page, "show", "all latents")

    control(page, "search").fill("Tensors")
    expect(count).to_have_text("1 of 512 latents")
    expect(rows(page, "latents")).to_have_count(1)
    assert column(page, "latents", "explanation") == [EXPLANATION]
    control(page, "search").fill("array")
    expect(table(page, "latents").locator(".doubtful")).to_have_text(DOUBTFUL)
    assert column(page, "latents", "score") == ["detection 0.50, not above its controls"]
    control(page, "search").fill("GRADIENTS")
    expect(table(page, "latents").get_by_role("link", name=NAME, exact=True)).to_be_visible()
    expect(count).to_have_text("1 of 512 latents")
    table(page, "latents").get_by_role("link", name=NAME, exact=True).click()
    expect(page.get_by_role("heading", name=f"{NAME} latent {small.explained}")).to_be_visible()


def test_a_latents_filter_is_stored_in_the_permalink(page, app_url: str, small: SmallTree) -> None:
    page.goto(f"{app_url}/latents?sae={small.sae}&codes={small.codes}")
    expect(page.locator("#latents-count")).to_have_text("512 of 512 latents")
    table(page, "latents").locator(".ag-header-cell[col-id='top_class'] .ag-header-cell-filter-button").click()
    page.locator(".ag-filter input[type=text]").first.fill("scipy")
    expect(page.locator("#latents-count")).not_to_have_text("512 of 512 latents")
    assert set(column(page, "latents", "top_class")) == {"scipy"}
    found = page.locator("#latents-count").text_content()
    page.wait_for_url("**filters=*")
    reopen(page)
    expect(page.locator("#latents-count")).to_have_text(found)


def test_a_sae_shows_its_measurements(page, app_url: str, small: SmallTree) -> None:
    quality = json.loads((small.sae_folder / "quality.json").read_text())
    page.goto(f"{app_url}/saes?sae={small.sae}")
    wanted = {
        "FVU": f"{quality['fvu']:.3f}",
        "explained variance": f"{quality['explained_variance']:.3f}",
        "L0": f"{quality['l0']:.1f}",
        "dead latents": f"{quality['dead_fraction']:.1%}",
        "positions measured": f"{quality['n_positions']:,.0f}",
        "latents": "512",
    }
    details = page.locator("#sae-details")
    for name, value in wanted.items():
        expect(details.get_by_text(name, exact=True).first.locator("xpath=following-sibling::*[1]")).to_have_text(value)
    assert figure(page, "sae-density").evaluate("e => e._fullData[0].y.length") > 5


def test_try_it_gives_the_pipelines_own_predictions(page, app_url: str, small: SmallTree) -> None:
    own, terms = read_predictions(small.sae_result, "linear"), read_predictions(small.tfidf_result, "linear")
    row, _ = small.example
    text = read_sample_rows(small.samples, [row], ["text"])["text"].to_pylist()[0]
    page.goto(app_url + small.url("/try", small.sae_result))
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Classify").click()
    for name, predictions in (("own", own), ("tfidf", terms)):
        place = predictions.rows.tolist().index(row)
        answer = page.locator(f"#answer-{name}")
        expect(answer).to_have_text(predictions.predicted[place], timeout=60_000)
        found = re.search(
            r"^Predicted .+ \(probability (?:above )?([\d.]+)\): .+\.$", answer.locator("xpath=..").text_content()
        )
        assert found
        assert float(found[1]) == pytest.approx(predictions.probabilities[place].max(), abs=0.0051)
    expect(page.locator("#try-tokens [data-value]").first).to_be_visible()
    shown = page.locator("#try-tokens").text_content()
    assert shown.startswith(text[:20])
    assert NAME in [cell.splitlines()[0] for cell in column(page, "contributions", "name")]
    page.wait_for_url("**text=*")


def test_try_it_rejects_an_empty_text(page, app_url: str, small: SmallTree) -> None:
    page.goto(app_url + small.url("/try", small.sae_result))
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_text("Type a text first.")).to_be_visible()
