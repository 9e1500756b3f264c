"""Folder names for datasets."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path, PurePath

FILE_EXTENSIONS = (".parquet", ".jsonl", ".json", ".csv")
_LONGEST = 120


def dataset_slug(name: str) -> str:
    """A folder name for a dataset, made only of letters, digits, '.', '_' and '-'.

    A hub id `a/b` gives `a--b`; a path gives its last two components, the file's extension dropped. Where
    characters had to be replaced or the name cut, a short hash of the original keeps different names apart.
    """
    parts = [part for part in PurePath(name).parts if part not in ("..", PurePath(name).anchor)]
    if not parts:
        parts = [Path(name).resolve().name]
    parts = parts[-2:]
    if PurePath(parts[-1]).suffix.lower() in FILE_EXTENSIONS:
        parts[-1] = PurePath(parts[-1]).stem
    joined = "--".join(parts)
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "-", joined).lstrip(".-")[:_LONGEST]
    if cleaned == joined:
        return cleaned
    return f"{cleaned or 'dataset'}-{blake2b(joined.encode(), digest_size=4).hexdigest()}"
