"""One row of a dataset, and how raw values become its text and labels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from numbers import Number
from typing import Any

from saefari.data.images import ImageSource
from saefari.errors import DataError

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Example:
    """One row of a dataset split; None = missing (null, NaN, or an empty label)."""

    row: int
    """0-based index in the source split."""
    id: str
    """The value of `id_field`, or the row number."""
    text: str | None
    label: str | None
    group: str | None
    image: ImageSource | None = None


def as_text(value: object) -> str | None:
    """A raw value as text: strings stay as they are, numbers and dates are written out; None = null or NaN.

    Half of a surrogate pair, which JSON can hold but UTF-8 cannot, becomes U+FFFD. A whole number is written
    without a fraction whatever its column's type (3.0 -> "3"), booleans as "true" and "false". Raises DataError for
    lists, mappings and bytes, which are no text.
    """
    if value is None or (isinstance(value, (float, Decimal)) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (Number, date, time)):
        return str(value)
    raise DataError(f"a {type(value).__name__} is not a text")


def name_classes(values: Sequence[Any], names: Sequence[str] | None) -> Sequence[Any]:
    """Integer classes as their names; values of a column without names stay as they are.

    A missing class, which the hub writes as null or -1, becomes None.
    """
    if names is None:
        return values
    return [names[value] if value is not None and 0 <= value < len(names) else None for value in values]


def as_label(value: object) -> str | None:
    """A raw value as a label, id or group: as `as_text`, and a blank one counts as missing."""
    label = as_text(value)
    return label if label is not None and label.strip() else None
