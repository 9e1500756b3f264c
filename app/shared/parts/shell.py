"""The frame of every page: header, navigation, colour scheme."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, clientside_callback, dcc, html

NAVIGATION = (
    ("", {"/": "Overview"}),
    ("Results", {"/runs": "Runs", "/compare": "Compare"}),
    ("Inspect", {"/samples": "Samples", "/try": "Try it"}),
    ("", {"/latents": "Latents"}),
    ("", {"/saes": "SAEs"}),
    ("", {"/health": "Health"}),
)
"""Groups of the navigation: title, and path -> name of its pages. Lists and links lead to the pages Run and Latent."""


def shell(content: Any) -> dmc.MantineProvider:
    """The app's outer layout."""
    return dmc.MantineProvider(
        [
            dcc.Store(id="colour-scheme", storage_type="local"),
            dcc.Store(id="state-written"),
            html.A("Skip to the content", href="#content", className="skip-link"),
            dmc.AppShell(
                [_header(), _navigation(), dmc.AppShellMain(html.Div(content, id="content", tabIndex=-1))],
                header={"height": 52},
                navbar={"width": 180, "breakpoint": "sm", "collapsed": {"mobile": True}},
                padding="md",
                id="frame",
            ),
        ],
        id="theme",
        defaultColorScheme="light",
        theme={"primaryColor": "blue", "fontFamily": "system-ui, sans-serif"},
    )


def _header() -> dmc.AppShellHeader:
    menu = dmc.Burger(id="menu", size="sm", hiddenFrom="sm", opened=False, **{"aria-label": "Show the pages"})
    name = dcc.Link("SAEfari", href="/", className="brand")
    toggle = dmc.Button("Light / dark", id="toggle-colours", variant="default", size="xs")
    return dmc.AppShellHeader(dmc.Group([dmc.Group([menu, name]), toggle], justify="space-between", h="100%", px="md"))


def _navigation() -> dmc.AppShellNavbar:
    label: dict[str, Any] = {"aria-label": "Pages"}
    return dmc.AppShellNavbar([_group(*group) for group in NAVIGATION], p="xs", **label)


def _group(title: str, pages: dict[str, str]) -> Any:
    """Links to pages; those of a titled group are indented below its title."""
    links = [
        dmc.NavLink(label=name, href=path, active="exact", pl="lg" if title else "sm") for path, name in pages.items()
    ]
    heading = [dmc.Text(title, size="xs", c="dimmed", fw=700, px="sm", pt="xs")] if title else []
    role: dict[str, Any] = {"role": "group", "aria-label": title} if title else {}
    return html.Div([*heading, *links], **role)


clientside_callback(
    ClientsideFunction("saefari", "toggleColours"),
    Output("colour-scheme", "data"),
    Input("toggle-colours", "n_clicks"),
    State("colour-scheme", "data"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("saefari", "applyColours"), Output("theme", "forceColorScheme"), Input("colour-scheme", "data")
)
clientside_callback(
    ClientsideFunction("saefari", "toggleMenu"),
    Output("frame", "navbar"),
    Input("menu", "opened"),
    Input("_pages_location", "pathname"),
    State("frame", "navbar"),
)
