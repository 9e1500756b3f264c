"""Every page shows its content in both colour schemes and widths and is usable by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from app.shared.parts.shell import PAGES

pytestmark = pytest.mark.browser

CONTENT = {
    "/": ["[id*='\"runs\"'] .ag-row"],
    "/compare": ["[id*='\"comparison\"'] .main-svg", "[id*='\"heat\"'] .main-svg", "[id*='\"win-rates\"'] .ag-row"],
    "/run": ["[id*='\"confusion\"'] .main-svg", "[id*='\"features\"'] .main-svg", "[id*='\"roc\"'] .main-svg"],
    "/samples": ["#sample-text [data-value]", "[id*='\"samples-map\"'] .scatterlayer .point", "#sample-others a"],
    "/latent": ["#latent-activity .contexts [data-value]", "#latent-classes .main-svg", "#latent-usage h2"],
    "/latents": ["[id*='\"latents\"'] .ag-row a", "[id*='\"latent-densities\"'] .main-svg"],
    "/try": ["#try-text", "#try-classify"],
    "/saes": ["[id*='\"sae-density\"'] .main-svg", "[id*='\"sae-pareto\"'] .main-svg"],
    "/health": ["#health-verdict [role=alert]", "#health-disk .ag-root"],
}
"""Page -> selectors of the content that it must show."""


def fits(page, width: int) -> None:
    """Check that the page itself does not scroll horizontally."""
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def is_in(page, colours: str) -> None:
    """Check the colour scheme of the page."""
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", colours)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_shows_its_content_in_both_widths_and_colour_schemes(page, app_url: str, path: str) -> None:
    page.goto(app_url + path)
    for colours, width in (("light", 1280), ("dark", 390)):
        page.set_viewport_size({"width": width, "height": 800})
        for selector in CONTENT[path]:
            expect(page.locator(selector).first).to_be_attached()
        is_in(page, colours)
        fits(page, width)
        page.get_by_role("button", name="Light / dark").click()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_text("cannot be shown")).to_have_count(0)


def test_a_narrow_page_opens_in_the_colour_scheme_that_was_chosen_before(page, app_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(app_url + "/run")
    page.get_by_role("button", name="Light / dark").click()
    is_in(page, "dark")
    page.reload()
    for selector in CONTENT["/run"]:
        expect(page.locator(selector).first).to_be_attached()
    is_in(page, "dark")
    fits(page, 390)


def test_keys_reach_the_content_and_the_pages(page, app_url: str) -> None:
    page.goto(app_url + "/saes")
    expect(page.locator("#sae-details h2").first).to_be_visible()
    heading = page.get_by_role("heading", level=1).element_handle()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Glossary of SAEs")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".glossary")).to_be_visible()
    assert heading.evaluate("e => e.isConnected")  # the page was not rebuilt
    page.get_by_role("link", name="Health", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/health")
    expect(page.get_by_role("heading", name="Health", level=1)).to_be_visible()
