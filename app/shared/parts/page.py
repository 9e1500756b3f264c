"""What every page has: a title, one line that says what is seen, and a `?` with the words it uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc

from app.shared.parts.glossary import GLOSSARY

Children = Any


def page(title: str, line: str, words: Sequence[str], children: Children) -> dmc.Stack:
    """A page. line: one sentence on what is seen. words: keys of the glossary."""
    heading = dmc.Group([dmc.Title(title, order=1, size="h2"), _question_mark(title, words)], gap="xs")
    return dmc.Stack([dmc.Stack([heading, dmc.Text(line, c="dimmed", maw=900)], gap=4), *children], gap="md")


def section(title: str, children: Children, line: str = "") -> dmc.Paper:
    """A titled box within a page."""
    heading = [dmc.Title(title, order=2, size="h4")]
    if line:
        heading.append(dmc.Text(line, c="dimmed", size="sm"))
    return dmc.Paper(dmc.Stack([dmc.Stack(heading, gap=2), *children], gap="sm"), withBorder=True, p="md", radius="md")


def wide(part: Any, pixels: int) -> dmc.Box:
    """A part that scrolls sideways on a screen narrower than it needs."""
    return dmc.Box(dmc.Box(part, miw=pixels), style={"overflowX": "auto"})


def later(name: str, height: int = 80) -> dcc.Loading:
    """A place with this id that a callback fills. height: pixels kept free until then."""
    return dcc.Loading(dmc.Box(id=name, mih=height), delay_show=300)


def notice(message: str, title: str = "", color: str = "blue") -> dmc.Alert:
    """Something to know, or something that is missing and how to get it."""
    return dmc.Alert(message, title=title or None, color=color, variant="light")


def figure_tile(name: str, value: str, note: str = "") -> dmc.Paper:
    """One number with its name, and what it is of."""
    lines = [dmc.Text(name, size="xs", c="dimmed"), dmc.Text(value, fw=700, size="lg")]
    if note:
        lines.append(dmc.Text(note, size="xs", c="dimmed"))
    return dmc.Paper(dmc.Stack(lines, gap=0), withBorder=True, p="sm", radius="md")


def _question_mark(title: str, words: Sequence[str]) -> dmc.Popover:
    entries = [
        dmc.Text([dmc.Text(f"{word}: ", span=True, fw=700), GLOSSARY[word]], size="sm") for word in dict.fromkeys(words)
    ]
    button = dmc.ActionIcon("?", variant="default", radius="xl", size="sm", **{"aria-label": f"Words used on {title}"})
    return dmc.Popover(
        [dmc.PopoverTarget(button), dmc.PopoverDropdown(dmc.Stack(entries, gap="xs"), className="glossary")],
        width=420,
        position="bottom-start",
        withArrow=True,
        shadow="md",
    )
