"""Selected results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc

from app.pages.compare.data.picks import f1_rows, read_picks, score_rows, setting_rows
from app.pages.compare.parts.figures import classes_figure
from app.shared.data.one_result import OneResult
from app.shared.data.tree import Index
from app.shared.labels import full_title
from app.shared.parts.figure import graph
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.guard import render_or_error
from app.shared.parts.page import notice, section
from app.shared.permalinks import link


def side_by_side(index: Index, picks: Sequence[str]) -> dmc.Paper:
    """Scores, settings and F1 per class of the selected results. picks: ids `<run>.<classifier>`."""
    results, problems = read_picks(index, picks)
    parts: list[Any] = [notice(problem, color="orange") for problem in problems]
    if results:
        parts.append(_legend(results))
        parts.append(render_or_error(lambda: _table(results), "The settings"))
        parts.append(render_or_error(lambda: _classes(results), "F1 per class"))
    return section("Selected results", parts, "The rows selected on the page Runs, side by side.")


def _legend(results: Sequence[OneResult]) -> dmc.Stack:
    """Number, title and links of each result."""
    keys = [f"{one.run}.{one.classifier}" for one in results]
    lines = []
    for i, one in enumerate(results):
        others = link("/compare", pick=[key for key in keys if key != keys[i]])
        open_it = dcc.Link(full_title(one.row), href=link("/run", run=one.run, classifier=one.classifier))
        remove = dcc.Link("remove", href=others, title=f"Take result {i + 1} out of the comparison")
        lines.append(dmc.Text([dmc.Text(f"{i + 1}: ", fw=700, span=True), open_it, " · ", remove], size="sm"))
    return dmc.Stack(lines, gap=2)


def _table(results: Sequence[OneResult]) -> Any:
    """Scores, then settings; differing settings first and in bold."""
    rows = [{"name": name, "differs": ""} | _numbered(values) for name, values in score_rows(results)]
    rows += [
        {"name": name, "differs": "differs" if differ else "same"} | _numbered(values)
        for name, values, differ in setting_rows(results)
    ]
    bold = {"condition": "params.data.differs === 'differs'", "style": {"fontWeight": 700}}
    options: dict[str, Any] = {"sortable": False, "filter": False, "cellStyle": {"styleConditions": [bold]}}
    columns = [text_column("name", " ", width=170, pinned="left", **options)]
    columns += [text_column("differs", "settings", width=100, **options)]
    columns += [
        text_column(str(i + 1), minWidth=170, flex=1, tooltipField=str(i + 1), **options) for i in range(len(results))
    ]
    return grid("picked", columns, rows, height=520, dashGridOptions={"rowHeight": 32})


def _numbered(values: Sequence[Any]) -> dict[str, Any]:
    """Map result number (from 1, as text) to value."""
    return {str(i + 1): value for i, value in enumerate(values)}


def _classes(results: Sequence[OneResult]) -> Any:
    rows = f1_rows(results)
    columns = [text_column("class", flex=1, minWidth=150)]
    columns += [number_column(str(i + 1), f"F1 of {i + 1}", 3, width=110) for i in range(len(results))]
    records = [{"class": name} | _numbered(values) for name, values in rows]
    drawing = graph("class-f1", classes_figure(rows, len(results)), "F1 per class of the selected results")
    table = grid("class-f1", columns, records, height=560)
    return dmc.Grid([dmc.GridCol(part, span={"base": 12, "lg": 6}) for part in (drawing, table)])
