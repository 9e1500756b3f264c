"""Permalinks: controls whose value stands in the page's URL.

A control with `state_id("metric")` is written to `?metric=…` whenever its `value` changes (assets/state.js), and the
page's `layout(metric=…)` is called with what the URL says, so that a link restores the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from dash import dcc

Parameter = str | list[str] | None
"""What the URL says of one name: nothing, one value or several."""


def state_id(name: str) -> dict[str, str]:
    """The id of a control that the URL remembers under this name."""
    return {"type": "state", "name": name}


def remembered(**values: str) -> list[dcc.Input]:
    """Values that stand in the URL without a control of their own, so that the page's link is whole."""
    return [dcc.Input(id=state_id(name), type="hidden", value=value) for name, value in values.items()]


def link(path: str, **parameters: Any) -> str:
    """A URL of a page with its state; what is None or "" is left out."""
    kept = [(name, value) for name, value in parameters.items() if value not in (None, "", [])]
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


def chosen(value: str | Sequence[str] | None, options: Sequence[str], default: str) -> str:
    """A URL's value where it is one of the options, else the default."""
    return value if isinstance(value, str) and value in options else default


def chosen_many(value: str | Sequence[str] | None, options: Sequence[str]) -> list[str]:
    """The URL's values that are among the options, in the URL's order."""
    values = [value] if isinstance(value, str) else value or []
    return [one for one in values if one in options]


def whole_number(value: Any, default: int | None = None, smallest: int = 0) -> int | None:
    """A URL's whole number, else the default."""
    try:
        number = int(str(value))
    except ValueError:
        return default
    return number if number >= smallest else default


def options_of(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Options of a select: value -> label."""
    return [{"value": value, "label": label} for value, label in labels.items()]
