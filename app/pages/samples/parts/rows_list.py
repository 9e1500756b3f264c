"""Filters and table of the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
import numpy as np

from app.shared.data.samples.rows import KINDS, UNSURE, Filters, ResultRows
from app.shared.labels import shortened
from app.shared.parts.grid import grid, number_column, text_column
from app.shared.parts.images.thumbnails import ROW_HEIGHT, thumbnail_column
from app.shared.parts.state import options_of, state_id
from app.shared.permalinks import chosen

MOST_LISTED = 20_000
_LETTERS = 160


FILTER_NAMES = ("show", "sure", "class", "predicted", "search")
"""URL parameters of the filters, in the order of `filters_of`."""


def filters_of(values: Sequence[Any], classes: list[str]) -> Filters:
    """Parse filters from the values of controls or of the URL, which may be anything."""
    show, sure, true_class, predicted, search = values
    try:
        least = min(1.0, max(0.0, float(sure)))
    except (TypeError, ValueError):
        least = Filters.sure
    return Filters(
        chosen(show, list(KINDS), "all"),
        least,
        chosen(true_class, classes, ""),
        chosen(predicted, classes, ""),
        search if isinstance(search, str) else "",
    )


def filter_controls(filters: Filters, rows: ResultRows) -> dmc.SimpleGrid:
    """One control per filter."""
    return dmc.SimpleGrid(
        [
            dmc.Select(
                id=state_id("show"),
                label="Show",
                data=options_of(KINDS),
                value=filters.shown,
                allowDeselect=False,
            ),
            dmc.NumberInput(
                id=state_id("sure"),
                label="Confident if probability ≥",
                value=filters.sure,
                min=0,
                max=1,
                step=0.05,
                decimalScale=2,
            ),
            _class_select("class", "True class", filters.true_class, rows.classes),
            _class_select("predicted", "Predicted class", filters.predicted_class, rows.classes),
            dmc.TextInput(
                id=state_id("search"),
                label=f"{_name_title(rows).capitalize()} contains, or id is",
                value=filters.search,
                debounce=300,
            ),
        ],
        cols={"base": 1, "xs": 2, "lg": 3},
        spacing="sm",
    )


def samples_table(rows: ResultRows, places: np.ndarray, row: int | None) -> dmc.Stack:
    """Table of the rows at these places. row: the selected one."""
    columns = [
        text_column("id", width=72, minWidth=60, tooltipField="id"),
        *([thumbnail_column("view", "image", rows.views, alt="text")] if rows.views else []),
        text_column("text", _name_title(rows), flex=2, minWidth=130, tooltipField="text"),
        text_column("label", "true class", flex=1, minWidth=95, tooltipField="label"),
        text_column("predicted", flex=1, minWidth=95, tooltipField="predicted"),
        number_column("probability", digits=3, width=100),
        text_column("verdict", "correct?", width=90, minWidth=70),
        number_column("true_probability", "true class prob.", 3, width=140),
    ]
    for column in columns:  # the filters are above the table
        column["filter"] = False
    return grid(
        "samples",
        columns,
        listed(rows, places),
        height="440px",
        getRowId="params.data.row + ''",
        selectedRows={"ids": [] if row is None else [str(row)]},
        scrollTo={} if row is None else {"rowId": str(row), "rowPosition": "middle"},
        dashGridOptions={"rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True}}
        | ({"rowHeight": ROW_HEIGHT} if rows.views else {}),
    )


def listed(rows: ResultRows, places: np.ndarray) -> list[dict[str, Any]]:
    """Table rows, at most MOST_LISTED."""
    names, chance = rows.names, rows.probabilities[np.arange(len(rows.rows)), rows.labels]
    return [
        {
            "row": int(rows.rows[i]),
            **({"view": int(rows.rows[i]) if rows.images[i] else None} if rows.views else {}),
            "id": rows.ids[i],
            "text": shortened(names[i], _LETTERS),
            "label": rows.classes[rows.labels[i]],
            "predicted": rows.classes[rows.predicted[i]],
            "probability": float(rows.confidence[i]),
            "verdict": "correct" if rows.right[i] else "wrong",
            "true_probability": float(chance[i]),
        }
        for i in places[:MOST_LISTED].tolist()
    ]


def count_text(rows: ResultRows, places: np.ndarray, filters: Filters) -> str:
    """Number of rows, their accuracy, and the definition of the filter."""
    text = f"{len(places):,} of {len(rows.rows):,} test rows"
    if len(places) and filters.shown in ("all", "confident", "unsure"):
        text += f", {rows.right[places].mean():.1%} of them correct"
    if len(places) > MOST_LISTED:
        text += f"; the first {MOST_LISTED:,} are listed"
    text += "."
    if filters.shown in ("confident", "confidently-wrong"):
        highest = rows.confidence.max(initial=0)
        text += f" Confident: probability of the predicted class ≥ {filters.sure:g}; the highest is {highest:.2f}."
    if filters.shown == "unsure":
        text += f" Unsure: the two largest probabilities differ by less than {UNSURE:g}."
    return text


def _name_title(rows: ResultRows) -> str:
    """Title of the column that names a row."""
    if not rows.views:
        return "text"
    return "text or name" if (rows.texts != "").any() else "name"


def _class_select(name: str, label: str, value: str, classes: list[str]) -> dmc.Select:
    return dmc.Select(
        id=state_id(name),
        label=label,
        data=classes,
        value=value or None,
        placeholder="any",
        clearable=True,
        searchable=True,
    )
