"""Errors for users, and helpers that format values in messages. A message states place, value and remedy."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import Repr

from saefari.log import logger

PATH_LENGTH = 255
"""Maximum characters of a path, model name or dataset name quoted in a message."""
_MAX_PER_LIST, _MAX_LINES = 3, 30  # mistakes shown per YAML list, and lines shown in total
_LAST_INDEX = re.compile(r"\[\d+\]$")


class SaefariError(Exception):
    """Base class of errors that a user can fix; the text is the complete message."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a configuration.

    path: location in the YAML, for example ``models[0].widths[1]``.
    message: what is wrong, what is allowed and, where one exists, the closest valid name.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(SaefariError):
    """All mistakes found in a configuration."""

    def __init__(self, problems: Sequence[Problem], source: str = "configuration") -> None:
        self.problems = tuple(problems)
        count = f"{len(problems):,} mistake{'s' if len(problems) != 1 else ''}"
        lines = "\n".join(f"  {line}" for line in _listed(problems))
        super().__init__(f"{source}: {count}\n{lines}")


class ConflictError(SaefariError):
    """The output tree holds data made with other settings; nothing was overwritten."""


class DataError(SaefariError):
    """A dataset cannot be read or does not match the configuration."""


class ModelError(SaefariError):
    """A model cannot be found, loaded or hooked."""


class SaeError(SaefariError):
    """An SAE cannot be found or loaded, or does not fit its model."""


class StoreError(SaefariError):
    """The output tree cannot be read or written."""


def _listed(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield one line per mistake; of many in one YAML list only the first few and the number of the others."""
    seen: Counter[str] = Counter()
    lines = []
    for problem in problems:
        place = _LAST_INDEX.sub("[]", problem.path)
        seen[place] += 1
        if seen[place] <= _MAX_PER_LIST:
            lines.append(str(problem))
    lines += [f"{place}: {n - _MAX_PER_LIST:,} more mistakes" for place, n in seen.items() if n > _MAX_PER_LIST]
    yield from lines[:_MAX_LINES]
    if len(lines) > _MAX_LINES:
        yield f"and {len(lines) - _MAX_LINES:,} more"


class _ShortRepr(Repr):
    """`repr` that reads only the part of a value it prints, so large and deeply nested values are fast."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 12
        self.maxstring = self.maxother = length

    def repr_int(self, x: int, level: int) -> str:
        """Describe large integers by size: Python refuses to print more than 4,300 digits."""
        return repr(x) if x.bit_length() < 128 else f"<a number of {x.bit_length():,} bits>"


def shown(value: object, length: int = 80) -> str:
    """Return the `repr` of a value for a message, cut to about `length` characters."""
    text = _ShortRepr(length).repr(value)
    if len(text) > length + 2:
        text = f"{text[:length]}..."
    is_cut = isinstance(value, (list, tuple, dict, set)) and len(value) > 1 and "..." in text
    return f"{text} ({len(value):,} values)" if is_cut else text  # type: ignore[arg-type]


def enumerated(names: Sequence[object], most: int = 20) -> str:
    """Return a comma-separated list of names ('text, label, id'); those beyond the first `most` are counted."""
    first = ", ".join(readable(str(name)) for name in names[:most])
    return f"{first} and {len(names) - most:,} more" if len(names) > most else first


def readable(name: str, length: int = 80) -> str:
    """Return a name unchanged; quoted and cut if it is long or contains unprintable characters."""
    return name if len(name) <= length and name.isprintable() else shown(name, length)


def shortened(error: BaseException) -> str:
    """Return the message of another library's error in one line of at most about 400 characters."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else f"{text[:400]}..."


def nearest(value: str, allowed: Sequence[str]) -> str:
    """Return ' (did you mean X?)' for the closest allowed name, or an empty string."""
    match = get_close_matches(str(value)[:PATH_LENGTH], list(allowed), n=1, cutoff=0.5)
    return f" (did you mean {shown(match[0])}?)" if match else ""


def explain_failure(error: BaseException) -> str:
    """Return the message of a SaefariError; of any other error its type and message, logging the traceback (debug)."""
    if isinstance(error, SaefariError):
        return str(error)
    logger.debug("%s", "".join(traceback.format_exception(error)))
    return f"{type(error).__name__}: {error}"
