"""Tables: sortable, filterable, exported as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
import pandas as pd
from dash import MATCH, ClientsideFunction, Input, Output, clientside_callback

Rows = Sequence[Mapping[str, Any]]
_FILTER_DELAY = {"debounceMs": 50}
"""Apply filters while typing; ag-grid's default delay is half a second."""
_HEAD, _ROW = 76, 42
"""Heights in pixels: header with frame, and one row."""


def text_column(name: str, title: str = "", **options: Any) -> dict[str, Any]:
    """A text column with a text filter."""
    return {"field": name, "headerName": title or name, "filter": "agTextColumnFilter", **options}


def number_column(name: str, title: str = "", digits: int | None = None, **options: Any) -> dict[str, Any]:
    """A right-aligned number column. digits: decimals shown (filters and export use the full value)."""
    shown = {} if digits is None else {"valueFormatter": {"function": _decimals(digits)}}
    column = {"field": name, "headerName": title or name, "filter": "agNumberColumnFilter", "type": "rightAligned"}
    return column | shown | options


def link_column(name: str, title: str, href: str, **options: Any) -> dict[str, Any]:
    """A column of links to the URL in the row's field `href`; plain text if that is empty."""
    renderer = {"cellRenderer": "PageLink", "cellRendererParams": {"href": href}}
    return text_column(name, title) | renderer | options


def grid(
    name: str, columns: Sequence[dict[str, Any]], rows: Rows, height: int | str = 420, **options: Any
) -> dmc.Stack:
    """A table with an export button and the id `grid_id(name)`. options go to dash-ag-grid.

    height: maximum in pixels (less if the rows need less), or a fixed CSS height for rows that arrive later.
    """
    if isinstance(height, int):
        row = options.get("dashGridOptions", {}).get("rowHeight", _ROW)
        height = min(height, _HEAD + row * len(rows))
    return _table(name, columns, {"type": "export", "name": name}, height, rowData=list(rows), **options)


def server_side_grid(name: str, columns: Sequence[dict[str, Any]], height: str, **options: Any) -> dmc.Stack:
    """A table with server-side rows: it requests those in view by `getRowsRequest`, which the page must answer.

    The page must also handle its export button, `{name}-csv`, because the table holds only part of the rows.
    """
    return _table(name, columns, f"{name}-csv", height, rowModelType="infinite", **options)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Convert a data frame to table rows; missing values become null."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=6))
    return rows


def filter_model(text: str | None) -> dict[str, Any]:
    """Parse a table's filter model from the URL's JSON; empty if it is anything else."""
    try:
        model = json.loads(text or "{}")
    except ValueError:
        return {}
    return model if isinstance(model, dict) else {}


def _table(
    name: str, columns: Sequence[dict[str, Any]], export: str | dict[str, str], height: int | str, **options: Any
) -> dmc.Stack:
    settings = {"animateRows": False, "enableCellTextSelection": True}
    table = dag.AgGrid(
        id=grid_id(name),
        columnDefs=_filling(columns),
        defaultColDef={
            "sortable": True,
            "filter": True,
            "resizable": True,
            "minWidth": 90,
            "filterParams": _FILTER_DELAY,
        },
        dashGridOptions=settings | options.pop("dashGridOptions", {}),
        csvExportParams={"fileName": f"saefari-{name}.csv", "allColumns": True},
        style={"height": height, "width": "100%"},
        **options,
    )
    described: dict[str, Any] = {"aria-label": f"Export the table {name} as CSV"}
    button = dmc.Button("CSV", id=export, variant="subtle", size="compact-xs", **described)
    return dmc.Stack([dmc.Group(button, justify="flex-end"), table], gap=2)


def _filling(columns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let columns grow so that the table has no empty space at its right: those with `flex`, else all text columns.

    Without text columns, all columns grow. A column never becomes narrower than its width; the table scrolls instead.
    """
    if any("flex" in column for column in columns):
        return list(columns)
    movable = [column for column in columns if not column.get("pinned") and not column.get("hide")]
    growing = [column for column in movable if column.get("type") != "rightAligned" and column["filter"]] or movable
    return [
        column | {"flex": column["width"], "minWidth": column["width"]} if column in growing else column
        for column in columns
    ]


def grid_id(name: str) -> dict[str, str]:
    """Id of a table made by `grid`."""
    return {"type": "grid", "name": name}


def _decimals(digits: int) -> str:
    return f"params.value == null ? '' : d3.format(',.{digits}f')(params.value)"


clientside_callback(
    ClientsideFunction("saefari", "exportCsv"),
    Output({"type": "grid", "name": MATCH}, "exportDataAsCsv"),
    Input({"type": "export", "name": MATCH}, "n_clicks"),
    prevent_initial_call=True,
)
