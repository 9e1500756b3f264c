"""A check of many files in steps with a progress bar: each request works for about one second.

The check stops when the page is left, and no request is long, whatever the size of the tree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import MATCH, Input, Output, Patch, State, callback, dcc, no_update

from app.shared.parts.grid import grid
from app.shared.parts.state import options_of

_SECONDS = 1.0
_PAUSE_MS = 100
Item = list[str]


@dataclass(frozen=True)
class Check:
    """Definition of a check.

    items: items (lists of ids, kept by the browser) of a choice. check: (table row, whether it is OK) of an item.
    columns: of the table. show_all: whether the table also lists items without a problem.
    """

    items: Callable[[str], list[Item]]
    check: Callable[[Item], tuple[dict[str, Any], bool]]
    columns: Sequence[dict[str, Any]]
    show_all: bool


_CHECKS: dict[str, Check] = {}


def stepwise(name: str, check: Check) -> None:
    """Register a check under a name, for `stepwise_box`."""
    _CHECKS[name] = check


def stepwise_box(name: str, button: str, label: str, choices: Mapping[str, str]) -> dmc.Stack:
    """Drop-down, button, progress bar and table of a check. choices: value -> label; the first is the default."""
    select = dmc.Select(
        id=_id("choice", name),
        label=label,
        data=options_of(choices),
        value=next(iter(choices)),
        allowDeselect=False,
        searchable=True,
        w=460,
        maw="100%",
    )
    start = dmc.Button(button, id=_id("start", name), variant="light")
    return dmc.Stack(
        [
            dmc.Group([select, start], align="flex-end"),
            dmc.Progress(id=_id("progress", name), value=0, **{"aria-label": f"{button}: progress"}),
            dmc.Text("Not started.", id=_id("status", name), size="sm", **{"aria-live": "polite"}),
            dcc.Interval(id=_id("tick", name), interval=_PAUSE_MS, disabled=True),
            dcc.Store(id=_id("queue", name)),
            grid(name, _CHECKS[name].columns, [], height="200px"),
        ],
        gap="xs",
    )


@callback(
    Output({"type": "check-queue", "name": MATCH}, "data"),
    Output({"type": "grid", "name": MATCH}, "rowData"),
    Output({"type": "check-start", "name": MATCH}, "disabled"),
    Output({"type": "check-tick", "name": MATCH}, "disabled"),
    Output({"type": "check-tick", "name": MATCH}, "max_intervals"),
    Input({"type": "check-start", "name": MATCH}, "n_clicks"),
    State({"type": "check-choice", "name": MATCH}, "value"),
    State({"type": "check-start", "name": MATCH}, "id"),
    prevent_initial_call=True,
)
def _start(_clicks: int, choice: str, button: dict[str, str]) -> Any:
    items = _CHECKS[button["name"]].items(choice)
    return {"left": items, "total": len(items), "wrong": 0}, [], True, False, -1


@callback(
    Output({"type": "check-queue", "name": MATCH}, "data", allow_duplicate=True),
    Output({"type": "grid", "name": MATCH}, "rowData", allow_duplicate=True),
    Output({"type": "check-progress", "name": MATCH}, "value"),
    Output({"type": "check-status", "name": MATCH}, "children"),
    Output({"type": "check-start", "name": MATCH}, "disabled", allow_duplicate=True),
    Output({"type": "check-tick", "name": MATCH}, "max_intervals", allow_duplicate=True),
    Input({"type": "check-tick", "name": MATCH}, "n_intervals"),
    State({"type": "check-queue", "name": MATCH}, "data"),
    State({"type": "check-start", "name": MATCH}, "id"),
    running=[(Output({"type": "check-tick", "name": MATCH}, "disabled"), True, False)],
    prevent_initial_call=True,
)
def _step(_ticks: int, queue: dict[str, Any] | None, button: dict[str, str]) -> Any:
    if queue is None:
        return [no_update] * 6
    return advance(_CHECKS[button["name"]], queue)


def advance(check: Check, queue: dict[str, Any]) -> tuple[Any, ...]:
    """Check items for one second: (queue, rows to add, percent done, status, busy, maximum number of further ticks)."""
    rows, done, wrong = [], 0, int(queue["wrong"])
    stop = time.monotonic() + _SECONDS
    while done < len(queue["left"]) and time.monotonic() < stop:
        row, is_ok = check.check(queue["left"][done])
        if check.show_all or not is_ok:
            rows.append(row)
        done += 1
        wrong += not is_ok
    left, total = queue["left"][done:], int(queue["total"])
    table = Patch()
    table.extend(rows)
    percent = 100 * (total - len(left)) / total if total else 100
    queue = {"left": left, "total": total, "wrong": wrong}
    return queue, table, percent, _status(total - len(left), total, wrong), bool(left), -1 if left else 0


def _status(done: int, total: int, wrong: int) -> str:
    if total == 0:
        return "There is nothing to check."
    found = f"{wrong:,} with a problem" if wrong else "all OK" if done == total else "all OK so far"
    return f"{done:,} of {total:,} checked, {found}."


def _id(part: str, name: str) -> dict[str, str]:
    return {"type": f"check-{part}", "name": name}
