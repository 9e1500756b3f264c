"""Names from explanations that have none."""

from __future__ import annotations

_LONGEST = 60


def short_name(text: str) -> str:
    """Return the first words of an explanation as its name, without a full stop."""
    text = text.strip().removesuffix(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(' ', 1)[0]} …"
