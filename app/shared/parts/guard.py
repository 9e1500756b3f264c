"""What is made from a file that may be foreign: whatever it breaks is said, and the rest of the page stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import dash_mantine_components as dmc

from app.shared.parts.page import notice
from saefari.errors import SaefariError
from saefari.log import logger

T = TypeVar("T")
FOREIGN = (SaefariError, KeyError, TypeError, ValueError, AttributeError, IndexError, OSError)
"""What reading a file of something else may raise."""


def said(build: Callable[[], T], what: str) -> T | dmc.Alert:
    """What `build` makes, or a notice why it cannot. what: `The confusion matrix`, to begin the sentence with."""
    try:
        return build()
    except SaefariError as error:
        return notice(str(error), color="orange")
    except FOREIGN as error:
        logger.warning("%s cannot be shown", what, exc_info=True)
        return notice(f"{what} cannot be shown: the file holds something else ({error})", color="orange")
