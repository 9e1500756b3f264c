"""One row of a dataset, and how raw values become its text, image and labels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from numbers import Number
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from saefari.data.images import ImageSource
from saefari.errors import PATH_LENGTH, DataError, shown

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


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
    if _is_missing(value):
        return None
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (Number, date, time)):
        return str(value)
    inside = f"; name a value in it, as in column.{next(iter(value), 'key')}" if isinstance(value, Mapping) else ""
    raise DataError(f"a {type(value).__name__} is not a text{inside}")


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


def as_image(value: object, row: int, folder: Path | None) -> ImageSource | None:
    """A raw value as an image that is not read yet; None = null, NaN, a blank path, or a mapping of nulls.

    value: the path of a file, an encoded image, pixels, or what `datasets` stores, a mapping of `bytes` and `path`.
    row: names an image that has no path. folder: where relative paths start, None = only absolute ones are files.
    Raises DataError for what is none of these, and for addresses of the network. Whether the file is there, and
    is an image, decoding will tell.
    """
    if _is_missing(value):
        return None
    if isinstance(value, Mapping):
        content, path = value.get("bytes"), value.get("path")
    else:
        content, path = (None, value) if isinstance(value, str) else (value, None)
    for part, kinds in ((content, (bytes, np.ndarray)), (path, (str,))):
        if part is not None and not isinstance(part, kinds):
            raise DataError(f"a {type(part).__name__} is not an image: neither a path nor the bytes of a file")
    if path is None or not path.strip():
        return None if content is None else ImageSource(f"row {row}", content)
    return ImageSource(_image_name(path), _image_file(path, folder) if content is None else content)


def _image_file(path: str, folder: Path | None) -> Path:
    if _ADDRESS.match(path):
        raise DataError(f"{shown(path, PATH_LENGTH)} is an address; download the images and name their files")
    if folder is None and not Path(path).is_absolute():
        raise DataError(f"{shown(path, PATH_LENGTH)} is the name of a file, but the dataset does not hold the file")
    return Path(path) if folder is None else folder / path


def _image_name(path: str) -> str:
    """The path as it is written, of an absolute one only the file's name."""
    windows = PureWindowsPath(path)  # takes both kinds of slash
    return _SURROGATE.sub("\ufffd", windows.name if windows.anchor else path)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, (float, Decimal)) and math.isnan(value))
