"""Search for files in an output tree without reading them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FoundFile:
    """File below a root, with its size in bytes and modification time."""

    root: Path
    relative: str
    """Folder relative to the root, as a POSIX path."""
    name: str
    size: int
    mtime_ns: int

    @property
    def folder(self) -> Path:
        return self.root / self.relative

    @property
    def path(self) -> Path:
        return self.folder / self.name


def find_files(root: Path, name: str) -> Iterator[FoundFile]:
    """Yield all files called `name` below `root`, in a fixed order.

    Links are not followed. Folders that cannot be listed are skipped: the tree may change during the search.
    """
    folders = ["."]  # strings: joining thousands of Path objects is slow
    while folders:
        relative = folders.pop()
        try:
            with os.scandir(os.path.join(root, relative)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            continue
        prefix = "" if relative == "." else relative + "/"
        folders += [prefix + entry.name for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
        for entry in entries:
            if entry.name == name and entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                yield FoundFile(root, relative, name, status.st_size, status.st_mtime_ns)


def has_complete_ending(path: Path) -> bool:
    """Whether a JSON file ends with "}": detects truncated files by reading only the last bytes."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 16))
            return file.read().rstrip().endswith(b"}")
    except OSError:
        return False
