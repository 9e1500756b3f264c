"""Folder names for datasets."""

from __future__ import annotations

from pathlib import Path, PurePath

from saefari.data.file_endings import without_ending
from saefari.names import folder_name


def dataset_slug(name: str) -> str:
    """Return the dataset's folder name in the output tree; see `folder_name`.

    A hub id `a/b` gives `a--b`; a path gives its last two components, without the ending of a data file.
    """
    parts = [part for part in PurePath(name).parts if part not in ("..", PurePath(name).anchor)]
    if not parts:
        parts = [Path(name).resolve().name]
    return folder_name([*parts[:-1], without_ending(parts[-1]) or parts[-1]], "dataset")
