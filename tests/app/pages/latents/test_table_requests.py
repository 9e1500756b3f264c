"""ag-grid's sort and filter models, applied to a data frame."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from app.pages.latents.data.table_requests import apply_request

TABLE = pd.DataFrame({"n": [3.0, 1.0, None, 2.0], "word": ["Dog", "cat", "", "dogma"]})


@pytest.mark.parametrize(
    ("column", "condition", "kept"),
    [
        ("n", {"type": "greaterThan", "filter": 1}, [0, 3]),
        ("n", {"type": "inRange", "filter": 1, "filterTo": 2}, [1, 3]),
        ("n", {"type": "blank"}, [2]),
        ("word", {"type": "contains", "filter": "DOG"}, [0, 3]),
        ("word", {"type": "notBlank"}, [0, 1, 3]),
        ("word", {"type": "contains", "filter": "("}, []),
        (
            "n",
            {"operator": "OR", "conditions": [{"type": "equals", "filter": 1}, {"type": "equals", "filter": 3}]},
            [0, 1],
        ),
        ("n", {"type": "no such", "filter": 1}, [0, 1, 2, 3]),
        ("n", {"type": "equals", "filter": "text"}, [0, 1, 2, 3]),
        ("no such", {"type": "equals", "filter": 1}, [0, 1, 2, 3]),
        ("n", "nonsense", [0, 1, 2, 3]),
    ],
)
def test_filters(column: str, condition: Any, kept: list[int]) -> None:
    assert apply_request(TABLE, {"filterModel": {column: condition}}).index.tolist() == kept


@pytest.mark.parametrize(("direction", "order"), [("asc", [1, 3, 0, 2]), ("desc", [0, 3, 1, 2])])
def test_missing_values_come_last_in_both_directions(direction: str, order: list[int]) -> None:
    assert apply_request(TABLE, {"sortModel": [{"colId": "n", "sort": direction}]}).index.tolist() == order
