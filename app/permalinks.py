"""Pages' URLs: made of what is to be shown, and read back, whatever they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

Parameter = str | list[str] | None
"""What the URL says of one name: nothing, one value or several."""


def link(path: str, **parameters: Any) -> str:
    """A URL of a page with its state; what is None or "" is left out."""
    kept = [(name, value) for name, value in parameters.items() if value not in (None, "", [])]
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


def chosen(value: str | Sequence[str] | None, options: Sequence[str], default: str) -> str:
    """A URL's value where it is one of the options, else the default."""
    return value if isinstance(value, str) and value in options else default


def chosen_many(value: str | Sequence[str] | None, options: Sequence[str]) -> list[str]:
    """The URL's values that are among the options, in the URL's order."""
    values = [value] if isinstance(value, str) else value or []
    return [one for one in values if one in options]


def whole_number(value: Any, default: int | None = None, smallest: int = 0) -> int | None:
    """A URL's whole number, else the default."""
    try:
        number = int(str(value))
    except ValueError:
        return default
    return number if number >= smallest else default
