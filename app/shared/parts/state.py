"""Permalinks: controls whose value stands in the page's URL.

A control with `state_id("metric")` is written to `?metric=…` where its `value` is not the one that the page began with
(assets/dashboard.js), and the page's `layout(metric=…)` is called with what the URL says, so that a link restores it.
"""

from __future__ import annotations

from collections.abc import Mapping

from dash import dcc


def state_id(name: str) -> dict[str, str]:
    """The id of a control that the URL remembers under this name."""
    return {"type": "state", "name": name}


def remembered(**values: str) -> list[dcc.Input]:
    """Values that stand in the URL without a control of their own, so that the page's link is whole."""
    return [dcc.Input(id=state_id(name), type="hidden", value=value) for name, value in values.items()]


def options_of(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Options of a select: value -> label."""
    return [{"value": value, "label": label} for value, label in labels.items()]
