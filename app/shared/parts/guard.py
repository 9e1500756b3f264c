"""Rendering parts of a page from files that may be damaged: an error becomes a notice, the page stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import dash_mantine_components as dmc

from app.shared.parts.page import notice
from saefari.errors import SaefariError
from saefari.log import logger

T = TypeVar("T")
DATA_ERRORS = (SaefariError, KeyError, TypeError, ValueError, AttributeError, IndexError, OSError)
"""Errors that reading a damaged or unexpected file may raise."""


def render_or_error(build: Callable[[], T], what: str) -> T | dmc.Alert:
    """Return `build()`, or a notice with its error. what: subject of the notice, e.g. `The confusion matrix`."""
    try:
        return build()
    except SaefariError as error:
        return notice(str(error), color="orange")
    except DATA_ERRORS as error:
        logger.warning("%s cannot be shown", what, exc_info=True)
        return notice(f"{what} cannot be shown: the file has unexpected content ({error})", color="orange")
