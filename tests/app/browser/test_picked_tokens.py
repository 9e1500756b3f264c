"""Page Samples: selecting a token by mouse or keyboard lists its strongest latents."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from saefari.store import read_codes_rows, read_predictions
from tests.app.browser.parts import column, control, part, reopen, table
from tests.app.browser.small_tree import EXPLANATION, NAME, SmallTree

pytestmark = pytest.mark.browser


def stored(folder: Path, row: int, position: int) -> list[tuple[int, float]]:
    """(latent, activation) at a position, the ten strongest first."""
    codes = read_codes_rows(folder, [row])
    own = slice(codes.indptr[position], codes.indptr[position + 1])
    order = np.argsort(-codes.values[own], kind="stable")[:10]
    return [(int(codes.indices[own][i]), float(codes.values[own][i])) for i in order]


def names(page) -> list[str]:
    """Names of the listed latents, without the numbers beside them."""
    return [cell.splitlines()[0] for cell in column(page, "token-latents", "name")]


def test_a_click_lists_the_strongest_latents_and_the_permalink_keeps_them(
    page, app_url: str, small: SmallTree, tmp_path: Path
) -> None:
    row = int(read_predictions(small.sae_result, "linear").rows[0])
    wanted = stored(small.samples / "layer_3/3k", row, 2)
    page.goto(f"{app_url}{small.url('/samples', small.sae_result)}&row={row}")
    page.locator("#sample-text [data-token='2']").click()
    page.wait_for_url("**token=2*")
    assert names(page) == [small.title(latent) for latent, _ in wanted]
    assert column(page, "token-latents", "activation") == [f"{value:.3f}" for _, value in wanted]
    reopen(page)
    expect(page.locator("#sample-text [aria-current]")).to_have_attribute("data-token", "2")
    assert names(page) == [small.title(latent) for latent, _ in wanted]
    with page.expect_download() as download:
        page.get_by_role("button", name="Export the table token-latents as CSV").click()
    download.value.save_as(tmp_path / "latents.csv")
    with (tmp_path / "latents.csv").open(encoding="utf-8-sig") as file:
        assert [int(line["number"]) for line in csv.DictReader(file)] == [latent for latent, _ in wanted]
    table(page, "token-latents").get_by_role("link", name=small.title(wanted[0][0]), exact=True).click()
    page.wait_for_url(f"**/latent?sae={small.sae}&latent={wanted[0][0]}&codes={small.codes}*")


def test_keys_select_a_token_and_another_row_clears_it(page, app_url: str, small: SmallTree) -> None:
    page.goto(app_url + small.url("/samples", small.sae_result))
    expect(page.locator("#sample-text [data-token='1']")).to_be_visible()
    control(page, "token").focus()
    page.keyboard.type("token 1:")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**token=1*")
    word = page.locator("#sample-text [data-token='1']").text_content()
    expect(page.locator("#sample-token h3")).to_have_text(f"The ten strongest latents at «{word.strip()}»")
    page.get_by_role("button", name="Next row").click()
    expect(page.locator("#sample-token h3")).to_have_count(0)
    expect(control(page, "token")).to_have_value("")
    page.wait_for_function("!location.search.includes('token=')")


def test_markup_in_tokens_and_explanations_stays_text(page, app_url: str, small: SmallTree) -> None:
    row, position = small.example
    page.goto(f"{app_url}{small.url('/samples', small.sae_result)}&row={row}&token={position}")
    assert EXPLANATION in column(page, "token-latents", "explanation")
    assert NAME in names(page)
    assert NAME in [cell.splitlines()[0] for cell in column(page, "contributions", "name")]
    expect(page.locator("#sample-reasons .decision")).to_have_text(re.compile("^Predicted .+ speak"))
    control(page, "latent").click()
    expect(page.get_by_role("option", name=f"{NAME} ({small.explained}, detection 0.75)").first).to_be_visible()
    page.goto(app_url + small.url("/samples", small.markup_result))
    bracket = page.locator("#sample-text [data-token]").filter(has_text="<").first
    bracket.click()
    expect(page.locator("#sample-token h3")).to_contain_text("«<")
    assert page.evaluate("window.ran") is None
    expect(part(page, "grid", "token-latents")).to_be_visible()
