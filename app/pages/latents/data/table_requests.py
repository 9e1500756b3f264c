"""Apply a table's sort and filter models (ag-grid) to a data frame.

Documented at ag-grid.com/javascript-data-grid/filter-api and infinite-scrolling.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import pandas as pd

_NUMBERS: dict[str, Callable[[pd.Series, float], pd.Series]] = {
    "equals": operator.eq,
    "notEqual": operator.ne,
    "lessThan": operator.lt,
    "lessThanOrEqual": operator.le,
    "greaterThan": operator.gt,
    "greaterThanOrEqual": operator.ge,
}
_TEXTS: dict[str, Callable[[pd.Series, str], pd.Series]] = {
    "contains": lambda column, text: column.str.contains(text, regex=False),
    "notContains": lambda column, text: ~column.str.contains(text, regex=False),
    "equals": operator.eq,
    "notEqual": operator.ne,
    "startsWith": lambda column, text: column.str.startswith(text),
    "endsWith": lambda column, text: column.str.endswith(text),
}


def apply_request(table: pd.DataFrame, request: dict[str, Any]) -> pd.DataFrame:
    """Filter rows by the request's filterModel and sort them by its sortModel, missing values last.

    Unknown columns and comparisons are ignored, since a permalink may hold anything.
    """
    for name, condition in (request.get("filterModel") or {}).items():
        if name in table.columns and isinstance(condition, dict):
            table = table[_kept(table[name], condition)]
    order = [one for one in request.get("sortModel") or [] if one["colId"] in table.columns]
    if not order:
        return table
    return table.sort_values(
        [one["colId"] for one in order], ascending=[one["sort"] == "asc" for one in order], kind="stable"
    )


def _kept(column: pd.Series, condition: dict[str, Any]) -> pd.Series:
    """bool [n]: rows that pass one column's filter, which may combine several conditions."""
    several = condition.get("conditions")
    if several:
        join = operator.or_ if condition.get("operator") == "OR" else operator.and_
        return reduce(join, (_kept(column, one) for one in several))
    kind, value, upper = condition.get("type"), condition.get("filter"), condition.get("filterTo")
    is_text = not pd.api.types.is_numeric_dtype(column)
    empty = column == "" if is_text else column.isna()
    if kind in ("blank", "notBlank"):
        return empty if kind == "blank" else ~empty
    if is_text and kind in _TEXTS:
        return _TEXTS[kind](column.str.lower(), str(value).lower())
    if not is_text and isinstance(value, (int, float)):
        if kind in _NUMBERS:
            return _NUMBERS[kind](column, value)
        if kind == "inRange" and isinstance(upper, (int, float)):
            return column.between(value, upper)
    return pd.Series(True, index=column.index)
