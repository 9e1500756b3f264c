"""Pages as the app registered them, and components as text."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

from dash.development.base_component import Component


def page(name: str) -> ModuleType:
    """The module of a page; its app must exist."""
    return sys.modules[f"app.pages.{name}.page"]


def text(component: Any) -> str:
    """A component as JSON text."""
    return json.dumps(
        component,
        default=lambda one: one.to_plotly_json() if isinstance(one, Component) else str(one),
        ensure_ascii=False,
    )
