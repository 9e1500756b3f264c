"""Locators for parts of a page: tables, figures and controls by name."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect


def part(page: Page, kind: str, name: str) -> Locator:
    """The element with the id `{type: kind, name: name}`."""
    return page.locator(f"[id='{_id(kind, name)}']")


def control(page: Page, name: str) -> Locator:
    """The control whose value is the URL parameter of this name."""
    return part(page, "state", name)


def choose(page: Page, name: str, option: str) -> None:
    """Choose an option of a drop-down by its label."""
    control(page, name).click()
    page.get_by_role("option", name=option, exact=True).click()


def table(page: Page, name: str) -> Locator:
    """A table with rows, scrolled into view (rows outside the view are not rendered)."""
    return _in_view(page, "grid", name, ".ag-row")


def rows(page: Page, name: str) -> Locator:
    """The rendered rows of a table."""
    return table(page, name).locator(".ag-center-cols-container .ag-row")


def column(page: Page, table_name: str, name: str) -> list[str]:
    """The rendered cells of a column, from top to bottom."""
    expect(table(page, table_name).locator(".ag-row-loading")).to_have_count(0)
    cells = table(page, table_name).locator(f".ag-row [col-id='{name}']")
    place = "Number(e.closest('.ag-row').getAttribute('row-index'))"
    expect(cells.filter(has_text=re.compile(r"\S")).first).to_be_visible()  # cells are rendered before their content
    found = cells.evaluate_all(f"all => all.map(e => [{place}, e.innerText])")
    return [text for _, text in sorted(found)]


def figure(page: Page, name: str) -> Locator:
    """A figure, after it is drawn."""
    return _in_view(page, "graph", name, ".js-plotly-plot .main-svg").locator(".js-plotly-plot")


def figure_with(page: Page, name: str, condition: str, *values: Any) -> Locator:
    """A figure, after a JavaScript condition on its element `e` and on `values` holds."""
    found = figure(page, name)
    page.wait_for_function(
        f"([id, ...values]) => {{ const e = document.getElementById(id)?.querySelector('.js-plotly-plot'); "
        f"return e?._fullData && ({condition}); }}",
        arg=[_id("graph", name), *values],
    )
    return found


def click_point(page: Page, drawn: Locator, trace: int, point: int) -> None:
    """Click a point of a trace after the figure has stopped moving (content above it may still load)."""
    page.wait_for_function(
        """e => {
            const before = e.lastPosition;
            e.lastPosition = e.getBoundingClientRect().y;
            e.scrollIntoView({ block: "center" });
            return e.lastPosition === before;
        }""",
        arg=drawn.element_handle(),
        polling=300,
    )
    x, y = drawn.evaluate(
        """(e, [trace, point]) => {
            const full = e._fullData.at(trace), box = e.getBoundingClientRect();
            const [x, y] = [e._fullLayout.xaxis, e._fullLayout.yaxis];
            return [box.x + x._offset + x.l2p(full.x[point]), box.y + y._offset + y.l2p(full.y[point])];
        }""",
        [trace, point],
    )
    page.mouse.click(x, y)


def reopen(page: Page) -> None:
    """Leave the page and reopen it by its permalink."""
    permalink = page.url
    page.goto("about:blank")
    page.goto(permalink)


def _id(kind: str, name: str) -> str:
    return json.dumps({"name": name, "type": kind}, separators=(",", ":"))


def _in_view(page: Page, kind: str, name: str, content: str) -> Locator:
    """Scroll to an element until its content exists; the page may replace it while loading."""
    page.wait_for_function(
        """([id, content]) => {
            const e = document.getElementById(id);
            e?.scrollIntoView({ block: "center" });
            return e?.querySelector(content);
        }""",
        arg=[_id(kind, name), content],
        polling=50,
    )
    return part(page, kind, name)
