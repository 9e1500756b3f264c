"""Errors a user can act on: each names the place, the value and the way out."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from saefari.log import logger


class SaefariError(Exception):
    """Anything that went wrong in a way a user can mend; its text is the whole message."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a configuration.

    path: where in the YAML, for example ``models[0].widths[1]``.
    message: what is wrong, what is allowed and, if there is one, the nearest valid name.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(SaefariError):
    """Every mistake found in a configuration, reported together."""

    def __init__(self, problems: Sequence[Problem], source: str = "configuration") -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} mistake{'s' if len(problems) != 1 else ''}"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{source}: {count}\n{lines}")


class ConflictError(SaefariError):
    """The store holds data made with other settings; nothing was overwritten."""


class DataError(SaefariError):
    """A dataset cannot be read or does not hold what the configuration says."""


class ModelError(SaefariError):
    """A model cannot be found, loaded or hooked."""


class SaeError(SaefariError):
    """An SAE cannot be found, loaded or does not fit its model."""


class StoreError(SaefariError):
    """The output tree cannot be read or written."""


def nearest(value: str, allowed: Sequence[str]) -> str:
    """' (did you mean X?)' for the closest allowed name, or an empty string."""
    match = get_close_matches(str(value), list(allowed), n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else ""


def explain_failure(error: BaseException) -> str:
    """Our own errors in their words; anything else with its type, and its traceback in the log at debug level."""
    if isinstance(error, SaefariError):
        return str(error)
    logger.debug("%s", "".join(traceback.format_exception(error)))
    return f"{type(error).__name__}: {error}"
