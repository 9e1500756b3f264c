"""URLs of pages: building them, and parsing parameters that may hold anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

Parameter = str | list[str] | None
"""A URL parameter: missing, one value, or several."""
NEURONPEDIA = "https://www.neuronpedia.org/"
"""The only external site that pages link to; nothing is loaded from it."""
_NEURONPEDIA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


def link(path: str, **parameters: Any) -> str:
    """Build a page's URL; parameters that are None, "" or [] are left out."""
    kept = [(name, value) for name, value in parameters.items() if value not in (None, "", [])]
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


def neuronpedia_link(sae_id: Any, latent: int) -> str:
    """URL of a latent on Neuronpedia; "" unless `sae_id` looks like one of its ids (gemma-2-2b/12-res-16k)."""
    is_id = isinstance(sae_id, str) and _NEURONPEDIA_ID.fullmatch(sae_id)
    return f"{NEURONPEDIA}{sae_id}/{latent}" if is_id else ""


def chosen(value: str | Sequence[str] | None, options: Sequence[str], default: str) -> str:
    """Return a URL's value if it is one of the options, else the default."""
    return value if isinstance(value, str) and value in options else default


def chosen_many(value: str | Sequence[str] | None, options: Sequence[str]) -> list[str]:
    """Return the URL's values that are among the options, in the URL's order."""
    values = [value] if isinstance(value, str) else value or []
    return [one for one in values if one in options]


def parse_integer(value: Any, default: int | None = None, smallest: int = 0) -> int | None:
    """Parse a URL's value as an integer of at least `smallest`; else return the default."""
    try:
        number = int(str(value))
    except ValueError:
        return default
    return number if number >= smallest else default
