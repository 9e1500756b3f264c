"""Page SAEs: comparison of a sweep's SAEs by reconstruction and by classification score."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from app.shared.data.file_cache import short_id
from tests.app.browser.parts import choose, click_point, control, figure, figure_with, reopen
from tests.report.sae_tree import MODEL, write_sweep

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sweep_url(serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The app on a sweep: 24 SAEs in each of two layers, classified on two datasets."""
    output = tmp_path_factory.mktemp("sweep")
    write_sweep(output, layers=(1, 3), datasets=("news", "reviews"))
    return serve(output)


def test_saes_of_the_same_layer_are_compared(page, sweep_url: str) -> None:
    sae = short_id(f"{MODEL}/layer_3/topk-k32")
    page.goto(f"{sweep_url}/saes?sae={sae}")
    shown = figure_with(page, "sae-pareto", "e._fullData.length === 6")
    groups = shown.evaluate("e => e._fullData.map(trace => [trace.name, trace.x.length])")
    assert groups[1:] == [["batchtopk", 6], ["jumprelu", 6], ["standard", 6], ["topk", 6], ["selected SAE", 1]]
    expect(page.get_by_text("SAEs of small-model, layer 3")).to_be_visible()
    choose(page, "sae", "small-model · layer 1 · jumprelu-k8")
    expect(page.get_by_text("SAEs of small-model, layer 1")).to_be_visible()
    expect(page.get_by_text("ultra-low-density latents").locator("xpath=following-sibling::*[1]")).to_have_text("10.0%")
    assert figure(page, "sae-training").evaluate("e => e._fullData.length") == 4


def test_a_click_on_a_mark_selects_its_sae_and_keeps_the_controls(page, sweep_url: str) -> None:
    sae = short_id(f"{MODEL}/layer_3/topk-k32")
    page.goto(f"{sweep_url}/saes?sae={sae}")
    choose(page, "scored", "reviews/train")
    choose(page, "against", "FVU")
    shown = figure_with(page, "sae-scores", "e.layout.xaxis.title.text === 'FVU'")
    assert shown.evaluate("e => e.layout.annotations.map(one => one.text)") == ["hidden states 0.710", "TF-IDF 0.660"]
    page.wait_for_url("**against=fvu*")
    # standard-k8 of layer 3: the SAE with the largest FVU is far from all others.
    standard = shown.evaluate("e => e._fullData.findIndex(trace => trace.name === 'standard, layer 3')")
    worst = shown.evaluate("(e, i) => e._fullData[i].x.indexOf(Math.max(...e._fullData[i].x))", standard)
    click_point(page, shown, standard, worst)
    expect(control(page, "sae")).to_have_value("small-model · layer 3 · standard-k8")
    page.wait_for_url(re.compile(short_id(f"{MODEL}/layer_3/standard-k8")))
    reopen(page)
    expect(control(page, "scored")).to_have_value("reviews/train")
    expect(control(page, "against")).to_have_value("FVU")
    expect(control(page, "sae")).to_have_value("small-model · layer 3 · standard-k8")
