"""Pages' URLs: made of what is to be shown, and read back, whatever they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

Parameter = str | list[str] | None
"""What the URL says of one name: nothing, one value or several."""
NEURONPEDIA = "https://www.neuronpedia.org/"
"""The only place outside the app that a page links to; nothing is loaded from it."""
_NEURONPEDIA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


def link(path: str, **parameters: Any) -> str:
    """A URL of a page with its state; what is None or "" is left out."""
    kept = [(name, value) for name, value in parameters.items() if value not in (None, "", [])]
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


def neuronpedia_link(known: Any, latent: int) -> str:
    """Where Neuronpedia shows a latent; "" unless `known` has the form of its ids, such as gemma-2-2b/12-res-16k."""
    fits = isinstance(known, str) and _NEURONPEDIA_ID.fullmatch(known)
    return f"{NEURONPEDIA}{known}/{latent}" if fits else ""


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
