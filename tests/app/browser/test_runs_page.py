"""Page Runs: table, filters, groups and links to other pages."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def rows(page):
    return page.locator(".ag-center-cols-container .ag-row")


def test_every_result_is_listed_and_links_to_its_page(page, app_url: str) -> None:
    page.goto(app_url + "/runs")
    expect(rows(page).first).to_be_visible()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.get_by_role("link", name="open", exact=True).first.click()
    page.wait_for_url("**/run?run=*&classifier=*")


def test_a_filter_narrows_the_table_and_a_permalink_restores_it(page, app_url: str) -> None:
    page.goto(app_url + "/runs")
    expect(rows(page).first).to_be_visible()
    everything = rows(page).count()
    page.locator('.ag-header-cell[col-id="source"] .ag-header-cell-filter-button').click()
    page.locator(".ag-filter input[type=text]").first.fill("tfidf")
    expect(rows(page)).to_have_count(4)
    assert everything > 4
    page.wait_for_url("**filters=*")
    permalink = page.url
    page.goto("about:blank")
    page.goto(permalink)
    expect(rows(page)).to_have_count(4)


def test_grouping_keeps_one_row_per_group_and_is_stored_in_the_url(page, app_url: str) -> None:
    page.goto(app_url + "/?group=source")
    expect(rows(page)).to_have_count(4)
    assert page.locator('.ag-row [col-id="n_results"]').first.text_content().isdigit()


def test_selected_rows_are_compared(page, app_url: str) -> None:
    page.goto(app_url + "/runs")
    for i in range(2):
        page.locator(".ag-row .ag-checkbox-input").nth(i).check()
    page.get_by_role("button", name="Compare the selected rows").click()
    page.wait_for_url("**/compare?pick=*&pick=*")


def test_an_empty_tree_shows_the_command_to_run(page, serve, tmp_path) -> None:
    page.goto(serve(tmp_path / "nothing"))
    expect(page.get_by_text("python run_experiments.py")).to_be_visible()


def test_colours_change_and_stay(page, app_url: str) -> None:
    page.goto(app_url + "/runs")
    page.get_by_role("button", name="Light / dark").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")


def test_a_narrow_screen_has_everything_within_its_width(page, app_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(app_url + "/runs")
    expect(rows(page).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Show the pages").click()
    page.get_by_role("link", name="Health").click()
    page.wait_for_url("**/health")
