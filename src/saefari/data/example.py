"""One row of a dataset, and the conversion of raw values to text, image and labels."""

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
    """Convert a raw value to text: strings are unchanged, numbers and dates are formatted; None = null or NaN.

    Unpaired surrogates, which are valid in JSON but not in UTF-8, become U+FFFD. Integral numbers of any type have no
    fraction (3.0 -> "3"); booleans become "true" and "false". Raises DataError for lists, mappings and bytes.
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
    hint = f"; give a key in it, as in column.{next(iter(value), 'key')}" if isinstance(value, Mapping) else ""
    raise DataError(f"a {type(value).__name__} is not a text{hint}")


def name_classes(values: Sequence[Any], names: Sequence[str] | None) -> Sequence[Any]:
    """Replace integer classes by their names; without names, return the values unchanged.

    A missing class (null or -1 in hub datasets) becomes None.
    """
    if names is None:
        return values
    return [names[value] if value is not None and 0 <= value < len(names) else None for value in values]


def as_label(value: object) -> str | None:
    """Convert a raw value to a label, id or group: like `as_text`, but blank values are missing."""
    label = as_text(value)
    return label if label is not None and label.strip() else None


def as_image(value: object, row: int, folder: Path | None) -> ImageSource | None:
    """Convert a raw value to an image source, not yet read; None = null, NaN, a blank path, or a mapping of nulls.

    value: path of a file, encoded image, pixels, or the mapping of `bytes` and `path` that `datasets` stores.
    row: names an image without a path. folder: base of relative paths; None = only absolute paths are allowed.
    Raises DataError for other types and for URLs. Decoding checks that the file exists and is an image.
    """
    if _is_missing(value):
        return None
    if isinstance(value, Mapping):
        content, path = value.get("bytes"), value.get("path")
    else:
        content, path = (None, value) if isinstance(value, str) else (value, None)
    for part, kinds in ((content, (bytes, np.ndarray)), (path, (str,))):
        if part is not None and not isinstance(part, kinds):
            raise DataError(f"a {type(part).__name__} is not an image; an image is a path or the bytes of a file")
    if path is None or not path.strip():
        return None if content is None else ImageSource(f"row {row}", content)
    return ImageSource(_image_name(path), _image_file(path, folder) if content is None else content)


def _image_file(path: str, folder: Path | None) -> Path:
    if _ADDRESS.match(path):
        raise DataError(f"{shown(path, PATH_LENGTH)} is a URL; download the images and give their paths")
    if folder is None and not Path(path).is_absolute():
        raise DataError(f"{shown(path, PATH_LENGTH)} is the name of a file, but the dataset does not contain the file")
    return Path(path) if folder is None else folder / path


def _image_name(path: str) -> str:
    """Return a relative path unchanged and only the file name of an absolute one."""
    windows = PureWindowsPath(path)  # accepts both kinds of slash
    return _SURROGATE.sub("\ufffd", windows.name if windows.anchor else path)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, (float, Decimal)) and math.isnan(value))
