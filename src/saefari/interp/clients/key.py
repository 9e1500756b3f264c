"""The key of an endpoint, which no message, file or log may show."""

from __future__ import annotations

import os
import re

from saefari.errors import ConfigError, Problem

_KEY_LIKE = re.compile(r"(\bsk-[\w*.-]{4,}|[Bb]earer\s+[^\s\"',}]+)")
"""Keys of common providers, also masked ones, and what follows Bearer."""
_HIDDEN = "***"


class Key:
    """A key read from an environment variable; None as variable: no key. Raises ConfigError if there is none in it."""

    def __init__(self, variable: str | None) -> None:
        self.variable = variable
        self._value = "" if variable is None else os.environ.get(variable, "").strip()
        if variable is not None and not self._value:
            raise _problem(
                f"environment variable {variable} is not set: set it to the endpoint's key, or write "
                "`key_variable: null` if the endpoint needs none"
            )
        if not re.fullmatch(r"[!-~]*", self._value):
            raise _problem(f"environment variable {variable} contains spaces or characters that no key has")

    def __repr__(self) -> str:
        return f"Key({self.variable!r})"

    def reveal(self) -> str:
        """Return the key itself; a placeholder if there is none, since the SDK needs one."""
        return self._value or "none"

    def scrub(self, text: str) -> str:
        """Return a text without the key and without what looks like one, as servers quote it in their errors."""
        return _KEY_LIKE.sub(_HIDDEN, self.remove(text))

    def remove(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._value, _HIDDEN) if self._value else text


def _problem(message: str) -> ConfigError:
    return ConfigError([Problem("explain.client.key_variable", message)])
