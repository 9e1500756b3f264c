"""Which run a page shows, for its callbacks."""

from __future__ import annotations

from dash import State

from app.shared.parts.state import state_id

SHOWN = (State(state_id("run"), "value"), State(state_id("classifier"), "value"))
"""The ids that the page of a run remembers in its URL."""
