"""Errors a user can act on: each names the place, the value and the way out."""

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
"""Characters of a file's path, or of a model's or dataset's name, that a message quotes."""
_ALIKE, _LISTED = 3, 30  # mistakes in one list, and lines in all, that a message shows
_LAST_INDEX = re.compile(r"\[\d+\]$")


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
        count = f"{len(problems):,} mistake{'s' if len(problems) != 1 else ''}"
        lines = "\n".join(f"  {line}" for line in _listed(problems))
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


def _listed(problems: Sequence[Problem]) -> Iterator[str]:
    """One line for each mistake; of many in the same list only the first few, and how many more there are."""
    seen: Counter[str] = Counter()
    lines = []
    for problem in problems:
        place = _LAST_INDEX.sub("[]", problem.path)
        seen[place] += 1
        if seen[place] <= _ALIKE:
            lines.append(str(problem))
    lines += [f"{place}: {n - _ALIKE:,} more mistakes there" for place, n in seen.items() if n > _ALIKE]
    yield from lines[:_LISTED]
    if len(lines) > _LISTED:
        yield f"and {len(lines) - _LISTED:,} more"


class _ShortRepr(Repr):
    """`repr` that reads no more of a value than it shows, so that neither size nor nesting matters."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 12
        self.maxstring = self.maxother = length

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write out a number of more than 4,300 digits."""
        return repr(x) if x.bit_length() < 128 else f"<a number of {x.bit_length():,} bits>"


def shown(value: object, length: int = 80) -> str:
    """A value as messages quote it: `repr`, cut at about `length` characters, however large or nested it is."""
    text = _ShortRepr(length).repr(value)
    if len(text) > length + 2:
        text = f"{text[:length]}..."
    is_cut = isinstance(value, (list, tuple, dict, set)) and len(value) > 1 and "..." in text
    return f"{text} ({len(value):,} values)" if is_cut else text  # type: ignore[arg-type]


def enumerated(names: Sequence[object], most: int = 20) -> str:
    """Names as messages list them: 'text, label, id'; those beyond the first `most` are counted."""
    first = ", ".join(readable(str(name)) for name in names[:most])
    return f"{first} and {len(names) - most:,} more" if len(names) > most else first


def readable(name: str, length: int = 80) -> str:
    """A name as it is; quoted, and cut, where it is long or holds characters that cannot be printed."""
    return name if len(name) <= length and name.isprintable() else shown(name, length)


def shortened(error: BaseException) -> str:
    """What another library's error says, in one line of at most a few hundred characters."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else f"{text[:400]}..."


def nearest(value: str, allowed: Sequence[str]) -> str:
    """' (did you mean X?)' for the closest allowed name, or an empty string."""
    match = get_close_matches(str(value)[:PATH_LENGTH], list(allowed), n=1, cutoff=0.5)
    return f" (did you mean {shown(match[0])}?)" if match else ""


def explain_failure(error: BaseException) -> str:
    """Our own errors in their words; anything else with its type, and its traceback in the log at debug level."""
    if isinstance(error, SaefariError):
        return str(error)
    logger.debug("%s", "".join(traceback.format_exception(error)))
    return f"{type(error).__name__}: {error}"
