"""A check of many files that shows how far it is: each request does as much as fits into a second.

Nothing goes on when the page is left, and a tree of any size needs no long request.
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
    """What is checked, and how.

    items: what a choice names, each as ids that the browser keeps. look: one item's row, and whether all is well.
    columns: of the table. show_fine: whether the table lists what is well, too.
    """

    items: Callable[[str], list[Item]]
    look: Callable[[Item], tuple[dict[str, Any], bool]]
    columns: Sequence[dict[str, Any]]
    show_fine: bool


_CHECKS: dict[str, Check] = {}


def stepwise(name: str, check: Check) -> None:
    """Make a check known under a name, for `stepwise_box` to offer."""
    _CHECKS[name] = check


def stepwise_box(name: str, button: str, label: str, choices: Mapping[str, str]) -> dmc.Stack:
    """Choice, button, progress and table of a check. choices: value -> label; the first is chosen."""
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
            dmc.Progress(id=_id("progress", name), value=0, **{"aria-label": f"{button}: how much is done"}),
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
    """Look at what fits into a second: (queue, rows to add, percent done, status, busy, how many more ticks)."""
    rows, done, wrong = [], 0, int(queue["wrong"])
    stop = time.monotonic() + _SECONDS
    while done < len(queue["left"]) and time.monotonic() < stop:
        row, fine = check.look(queue["left"][done])
        if check.show_fine or not fine:
            rows.append(row)
        done += 1
        wrong += not fine
    left, total = queue["left"][done:], int(queue["total"])
    table = Patch()
    table.extend(rows)
    percent = 100 * (total - len(left)) / total if total else 100
    queue = {"left": left, "total": total, "wrong": wrong}
    return queue, table, percent, _status(total - len(left), total, wrong), bool(left), -1 if left else 0


def _status(done: int, total: int, wrong: int) -> str:
    if total == 0:
        return "There is nothing to check."
    found = f"{wrong:,} with a problem" if wrong else "all fine" if done == total else "all fine so far"
    return f"{done:,} of {total:,} checked, {found}."


def _id(part: str, name: str) -> dict[str, str]:
    return {"type": f"check-{part}", "name": name}
