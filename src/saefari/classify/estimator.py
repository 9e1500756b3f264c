"""Save and load scikit-learn estimators without pickle; equal estimators give equal files."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import skops.io

from saefari.store.files import atomic_write

_SCHEMA = "schema.json"
_TRUSTED = ["sklearn.tree._tree.Tree"]  # skops lists it as unsafe: a forged file could crash, though not run code
_OBJECT_ID = re.compile(r'(?<="__id__": )\d+|(?<=")\d+(?=\.np[yz]")')


def save_estimator(path: Path, estimator: Any) -> None:
    """Write an estimator in skops format."""
    for _, step in getattr(estimator, "steps", []):
        for _, part in getattr(step, "transformer_list", [("", step)]):
            if hasattr(part, "_stop_words_id"):  # a memory address that scikit-learn's vectorisers remember
                del part._stop_words_id
    content = _canonical(skops.io.dumps(estimator))
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load_estimator(path: Path) -> Any:
    """Read an estimator that `save_estimator` wrote; no code in the file is run."""
    return skops.io.load(path, trusted=_TRUSTED)


def _canonical(content: bytes) -> bytes:
    """Make the content reproducible: replace memory addresses by consecutive numbers, and drop timestamps."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], str(len(numbers)))

    rewritten = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        schema = _OBJECT_ID.sub(number, old.read(_SCHEMA).decode("utf-8"))
        for name in old.namelist():
            if name != _SCHEMA:
                stem, _, suffix = name.partition(".")
                info = zipfile.ZipInfo(f"{numbers[stem]}.{suffix}")
                new.writestr(info, old.read(name), zipfile.ZIP_DEFLATED, compresslevel=1)
        new.writestr(zipfile.ZipInfo(_SCHEMA), schema, zipfile.ZIP_DEFLATED)
    return rewritten.getvalue()
