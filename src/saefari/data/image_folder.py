"""Folders of images with one folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from saefari.data.table import take_rows
from saefari.errors import DataError

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".jp2", ".j2k", ".ppm", ".pgm", ".pbm"),
)
_SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}


@dataclass(frozen=True)
class ImageFolder:
    """Images `<classes>/<class>/*`, sorted by class and name; label = class, id = path below `folder`."""

    folder: Path
    """Folder of the dataset; the image column contains paths relative to it."""
    classes: Path
    """Parent of the class folders: `folder`, or a split's folder in it."""

    columns = ("image", "label", "id")

    def count(self) -> int:
        """Count the images."""
        return sum(1 for _ in self._rows())

    def fingerprint(self) -> str:
        """Return the SHA-256 of the images' relative paths."""
        digest = sha256()
        for path, _ in self._rows():
            digest.update(os.fsencode(path) + b"\0")
        return digest.hexdigest()

    def sources(self) -> str:
        """Return the fingerprint, which needs no reading of rows."""
        return self.fingerprint()

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Yield values of the given columns, row by row."""
        positions = [self.columns.index(field) for field in fields]
        for path, label in take_rows(self._rows(), rows):
            row = (path, label, path)
            yield tuple(row[position] for position in positions)

    def _rows(self) -> Iterator[tuple[str, str]]:
        """Yield (relative path, class) of every image."""
        for name in _folders(self.classes):
            prefix = (self.classes / name).relative_to(self.folder).as_posix()
            yield from ((f"{prefix}/{image}", name) for image in sorted(_images(self.classes / name)))


def find_images(folder: Path) -> dict[str, ImageFolder]:
    """Return split -> images: `<folder>/<split>/<class>/*`, or `<folder>/<class>/*` as the split `train`.

    Empty if there are no images in class folders. Raises DataError for splits without classes and for images outside
    class folders, so that no image is skipped silently.
    """
    folders = _folders(folder)
    classes = {name for name in folders if _holds_images(folder / name)}
    splits = [name for name in folders if any(_class_folders(folder / name))]
    if splits and classes:
        raise DataError(
            f"{folder}: images are in {_listed(classes)} and in folders below {_listed(splits)}; move all of them "
            "to <class>/, or all to <split>/<class>/"
        )
    if splits:
        return {name: ImageFolder(folder, folder / name) for name in splits}
    if classes and classes <= _SPLIT_NAMES:
        raise DataError(f"{folder}: no class folders in {_listed(classes)}; move the images to <split>/<class>/")
    return {"train": ImageFolder(folder, folder)} if classes else {}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _class_folders(split: Path) -> Iterator[str]:
    return (name for name in _folders(split) if _holds_images(split / name))


def _holds_images(folder: Path) -> bool:
    return next(_images(folder), None) is not None


def _folders(folder: Path) -> list[str]:
    """Return the sorted names of sub-folders, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> Iterator[str]:
    """Yield the names of images in a folder, without hidden files. Broken links are included and fail on decoding."""
    with os.scandir(folder) as entries:
        for entry in entries:
            extension = os.path.splitext(entry.name)[1].lower()
            if extension in EXTENSIONS and not entry.name.startswith(".") and not entry.is_dir():
                yield entry.name
