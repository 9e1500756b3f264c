"""Permalinks: controls whose value is stored in the page's URL.

A control with `state_id("metric")` is written to `?metric=…` if its `value` differs from the page's default
(assets/dashboard.js). Opening the link calls the page's `layout(metric=…)`, which restores the value.
"""

from __future__ import annotations

from collections.abc import Mapping

from dash import State, dcc


def state_id(name: str) -> dict[str, str]:
    """Id of a control whose value is stored in the URL under this name."""
    return {"type": "state", "name": name}


def hidden_inputs(**values: str) -> list[dcc.Input]:
    """Hidden inputs for values of the URL that have no visible control."""
    return [dcc.Input(id=state_id(name), type="hidden", value=value) for name, value in values.items()]


def options_of(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Options of a drop-down. labels: value -> label."""
    return [{"value": value, "label": label} for value, label in labels.items()]


RUN_STATE = (State(state_id("run"), "value"), State(state_id("classifier"), "value"))
"""Run id and classifier of the page, for its callbacks."""
