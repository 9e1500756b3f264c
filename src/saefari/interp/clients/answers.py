"""Strict parsing of language models' answers: what is unambiguous is read, anything else is refused.

Accepted around the value: prose, code fences, and a thinking part before it. Every function raises ExplanationError
with the reason, and with the answer as `raw`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from saefari.errors import readable, shown
from saefari.interp.records import ExplanationError

T = TypeVar("T")

_THINKING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""Marks of thinking parts that servers leave in the text. The opening mark may be in the prompt, not in the answer."""
_WORDS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "one"), True),
    **dict.fromkeys(("0", "0.0", "false", "no", "zero"), False),
}
_LIST = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_OBJECT_START = re.compile(r'\{\s*"')
_MAX_NUMBER_LENGTH = 40


def json_object(text: str) -> dict[str, Any]:
    """Return the one JSON object of an answer.

    Refused: no object, two different objects, an incomplete or invalid object, a key given twice, NaN and infinite
    numbers, text that is not valid Unicode. The same object given twice counts as one.
    """
    found = {json.dumps(value, sort_keys=True): value for value in _objects(without_thinking(text), text)}
    if len(found) != 1:
        raise _refused(f"expected one JSON object, found {len(found) or 'none'}", text)
    return next(iter(found.values()))


def binary_list(text: str, n: int) -> list[bool]:
    """Return the one list of an answer, of n values: 1 and 0, or the words true, yes, one and false, no, zero."""
    return _list(text, n, lambda item: _WORDS[item.casefold()], "1 or 0")


def number_list(text: str, n: int, low: float, high: float) -> list[float]:
    """Return the one list of an answer, of n numbers from low to high."""

    def number(item: str) -> float:
        value = float(item) if len(item) <= _MAX_NUMBER_LENGTH and _NUMBER.fullmatch(item) else math.nan
        if not low <= value <= high:
            raise ValueError
        return value

    return _list(text, n, number, f"a number from {low:g} to {high:g}")


def without_thinking(text: str) -> str:
    """Return an answer without its leading thinking parts. Raises ExplanationError if one does not end."""
    rest = text
    while (end := _thinking_end(rest)) is not None:
        rest = rest[end:]
    if any(re.match(rf"\s*{re.escape(start)}", rest, re.IGNORECASE) for start, _ in _THINKING):
        raise _refused("the answer ends within its thinking part", text)
    return rest


def _thinking_end(text: str) -> int | None:
    """Return where the leading thinking part ends; None without one, or without its end."""
    for start, end in _THINKING:
        closing = re.search(re.escape(end), text, re.IGNORECASE)
        opening = re.search(re.escape(start), text, re.IGNORECASE)
        if closing is None:
            continue
        is_leading = opening is not None and not text[: opening.start()].strip()
        if is_leading or opening is None or opening.start() > closing.start():
            return closing.end()
    return None


def _list(text: str, n: int, read: Callable[[str], T], expected: str) -> list[T]:
    """Return the values of the only list; no other square bracket may be in the answer."""
    answer = without_thinking(text)
    contents = {tuple(_items(content)) for content in _LIST.findall(answer)}
    if re.search(r"[\[\]]", _LIST.sub("", answer)):
        raise _refused("expected one list, found nested, incomplete or other brackets", text)
    if len(contents) != 1:
        raise _refused(f"expected one list of {n} values, found {len(contents) or 'none'}", text)
    (items,) = contents
    if len(items) != n:
        raise _refused(f"expected a list of {n} values, found {len(items)}", text)
    values = []
    for place, item in enumerate(items, 1):
        try:
            values.append(read(item))
        except (KeyError, ValueError):
            raise _refused(f"value {place} of the list is {readable(item, 40)}, not {expected}", text) from None
    return values


def _items(content: str) -> Iterator[str]:
    """Yield the items between two brackets, without white space and quotes."""
    for item in content.split(",") if content.strip() else []:
        item = item.strip()
        quoted = len(item) >= 2 and item[0] in "\"'" and item[-1] == item[0]
        yield item[1:-1].strip() if quoted else item


def _objects(answer: str, raw: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of an answer that are not empty and not inside another one."""
    decoder = json.JSONDecoder(
        object_pairs_hook=_without_repeats, parse_float=_finite_number, parse_constant=_finite_number
    )
    place = 0
    while match := _OBJECT_START.search(answer, place):
        try:
            value, place = decoder.raw_decode(answer, match.start())
            json.dumps(value, ensure_ascii=False).encode()  # an unpaired surrogate has no encoding
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise _refused(f"its JSON is incomplete or invalid ({shown(reason)})", raw) from None
        yield value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is given twice")
    return value


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _refused(reason: str, raw: str) -> ExplanationError:
    if not raw.strip():
        reason = "the answer is empty"
    return ExplanationError(f"unusable answer: {reason}", raw)
