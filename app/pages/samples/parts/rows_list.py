"""The list of test rows: what is asked for, and the table of what was found."""

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


ASKED = ("show", "sure", "class", "predicted", "search")
"""The names that the URL gives to the parts of the filters, in the order of `filters_of`."""


def filters_of(asked: Sequence[Any], classes: list[str]) -> Filters:
    """Filters from what controls or the URL hold, which may be anything."""
    show, sure, true_class, predicted, search = asked
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
    """A control for each part of the filters."""
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
                label="Confident from probability",
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
                label=f"{_named_by(rows).capitalize()} contains, or id is",
                value=filters.search,
                debounce=300,
            ),
        ],
        cols={"base": 1, "xs": 2, "lg": 3},
        spacing="sm",
    )


def samples_table(rows: ResultRows, places: np.ndarray, row: int | None) -> dmc.Stack:
    """The rows at these places; row: the one that is picked."""
    columns = [
        text_column("id", width=72, minWidth=60, tooltipField="id"),
        *([thumbnail_column("view", "image", rows.views, alt="text")] if rows.views else []),
        text_column("text", _named_by(rows), flex=2, minWidth=130, tooltipField="text"),
        text_column("label", "true class", flex=1, minWidth=95, tooltipField="label"),
        text_column("predicted", flex=1, minWidth=95, tooltipField="predicted"),
        number_column("probability", digits=3, width=100),
        text_column("verdict", "right?", width=80, minWidth=70),
        number_column("true_probability", "of the true class", 3, width=140),
    ]
    for column in columns:  # what can be asked for stands above the table
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
    """Rows of the table, at most MOST_LISTED."""
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
            "verdict": "right" if rows.right[i] else "wrong",
            "true_probability": float(chance[i]),
        }
        for i in places[:MOST_LISTED].tolist()
    ]


def count_text(rows: ResultRows, places: np.ndarray, filters: Filters) -> str:
    """How many rows there are, and what the words of the filter mean."""
    said = f"{len(places):,} of {len(rows.rows):,} test rows"
    if len(places) and filters.shown in ("all", "confident", "unsure"):
        said += f", {rows.right[places].mean():.1%} of them right"
    if len(places) > MOST_LISTED:
        said += f"; the first {MOST_LISTED:,} are listed"
    said += "."
    if filters.shown in ("confident", "confidently-wrong"):
        highest = rows.confidence.max(initial=0)
        said += (
            f" Confident: the predicted class has {filters.sure:g} or more; the highest of all rows is {highest:.2f}."
        )
    if filters.shown == "unsure":
        said += f" Unsure: the two likeliest classes are less than {UNSURE:g} apart."
    return said


def _named_by(rows: ResultRows) -> str:
    """What stands for a row in a line."""
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
