"""Folder names for datasets."""

from __future__ import annotations

from pathlib import Path, PurePath

from saefari.names import folder_name

FILE_EXTENSIONS = (".parquet", ".jsonl", ".json", ".csv")


def dataset_slug(name: str) -> str:
    """The dataset's folder name in the store; see `folder_name`.

    A hub id `a/b` gives `a--b`; a path gives its last two components, the file's extension dropped.
    """
    parts = [part for part in PurePath(name).parts if part not in ("..", PurePath(name).anchor)]
    if not parts:
        parts = [Path(name).resolve().name]
    if PurePath(parts[-1]).suffix.lower() in FILE_EXTENSIONS:
        parts[-1] = PurePath(parts[-1]).stem
    return folder_name(parts, "dataset")
