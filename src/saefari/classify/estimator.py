"""scikit-learn estimators as files that hold no code and depend on nothing but the estimator."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import skops.io

from saefari.store.files import atomic_write

_SCHEMA = "schema.json"
_OURS = ["sklearn.tree._tree.Tree"]  # skops lists it as unsafe: a forged file could crash, though not run code
_IDENTITY = re.compile(r'(?<="__id__": )\d+|(?<=")\d+(?=\.np[yz]")')


def save_estimator(path: Path, estimator: Any) -> None:
    """Write an estimator in skops format; equal estimators give equal bytes."""
    for _, step in getattr(estimator, "steps", []):
        for _, part in getattr(step, "transformer_list", [("", step)]):
            if hasattr(part, "_stop_words_id"):  # a memory address that scikit-learn's vectorisers remember
                del part._stop_words_id
    content = _canonical(skops.io.dumps(estimator))
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load_estimator(path: Path) -> Any:
    """Read an estimator that `save_estimator` wrote; no code of the file's is ever run."""
    return skops.io.load(path, trusted=_OURS)


def _canonical(content: bytes) -> bytes:
    """Replace what differs from run to run: memory addresses by running numbers, and the time of writing."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], str(len(numbers)))

    rewritten = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        schema = _IDENTITY.sub(number, old.read(_SCHEMA).decode("utf-8"))
        for name in old.namelist():
            if name != _SCHEMA:
                stem, _, suffix = name.partition(".")
                info = zipfile.ZipInfo(f"{numbers[stem]}.{suffix}")
                new.writestr(info, old.read(name), zipfile.ZIP_DEFLATED, compresslevel=1)
        new.writestr(zipfile.ZipInfo(_SCHEMA), schema, zipfile.ZIP_DEFLATED)
    return rewritten.getvalue()
