"""Layout of pages: title, one-line description, glossary button, sections and notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from app.shared.parts.glossary import GLOSSARY

Children = Any


def page(title: str, line: str, words: Sequence[str], children: Children, beside: str = "") -> dmc.Stack:
    """A page. line: one-sentence description. words: glossary terms. beside: small text beside the title."""
    shown = [title, html.Small(f" {beside}")] if beside else title
    heading = dmc.Group(
        [dmc.Title(shown, order=1, size="h2", className="title"), _glossary_button(title, words)], gap="xs"
    )
    return dmc.Stack([dmc.Stack([heading, dmc.Text(line, c="dimmed", maw=900)], gap=4), *children], gap="md")


def section(title: str, children: Children, line: str = "") -> dmc.Paper:
    """A titled box within a page. line: one-sentence description."""
    heading = [dmc.Title(title, order=2, size="h4")]
    if line:
        heading.append(dmc.Text(line, c="dimmed", size="sm"))
    return dmc.Paper(dmc.Stack([dmc.Stack(heading, gap=2), *children], gap="sm"), withBorder=True, p="md", radius="md")


def wide(part: Any, pixels: int) -> dmc.Box:
    """Make a part scroll horizontally on screens narrower than `pixels`."""
    return dmc.Box(dmc.Box(part, miw=pixels), style={"overflowX": "auto"})


def placeholder(name: str, height: int = 80) -> dcc.Loading:
    """An empty box with this id, to be filled by a callback. height: minimum height in pixels."""
    return dcc.Loading(dmc.Box(id=name, mih=height), delay_show=300)


def notice(message: str, title: str = "", color: str = "blue") -> dmc.Alert:
    """A message box."""
    return dmc.Alert(message, title=title or None, color=color, variant="light")


def figure_tile(name: str, value: str, note: str = "") -> dmc.Paper:
    """A tile with one number, its name and a note."""
    lines = [dmc.Text(name, size="xs", c="dimmed"), dmc.Text(value, fw=700, size="lg")]
    if note:
        lines.append(dmc.Text(note, size="xs", c="dimmed"))
    return dmc.Paper(dmc.Stack(lines, gap=0), withBorder=True, p="sm", radius="md")


def _glossary_button(title: str, words: Sequence[str]) -> dmc.Popover:
    entries = [
        dmc.Text([dmc.Text(f"{word}: ", span=True, fw=700), GLOSSARY[word]], size="sm") for word in dict.fromkeys(words)
    ]
    button = dmc.ActionIcon("?", variant="default", radius="xl", size="sm", **{"aria-label": f"Glossary of {title}"})
    return dmc.Popover(
        [dmc.PopoverTarget(button), dmc.PopoverDropdown(dmc.Stack(entries, gap="xs"), className="glossary")],
        width=420,
        position="bottom-start",
        withArrow=True,
        shadow="md",
    )
