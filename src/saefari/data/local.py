"""Where a local dataset lies: in a file, or in a folder that holds a file or more, or images, for each split."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from saefari.data.files import EXTENSIONS, FileTable
from saefari.data.image_folder import find_images
from saefari.data.table import Table
from saefari.errors import PATH_LENGTH, DataError, nearest, shown

_SHARD = re.compile(r"-\d+(-of-\d+)?$")


@dataclass(frozen=True)
class LocalDataset:
    """A dataset named by a path that exists."""

    path: Path
    config_name: str | None

    @property
    def is_file(self) -> bool:
        """A single file has no splits: any split name means all its rows."""
        return self.path.is_file()

    def table(self, split: str) -> Table:
        """The files of one split, or else its images. Raises DataError that lists the splits there are."""
        if self.is_file:
            return FileTable((self._readable(self.path),))
        for folder in (self.folder(), self.folder() / "data"):
            files = _split_files(folder, split)
            if files:
                return FileTable(files)
        images = find_images(self.folder())
        if split in images:
            return images[split]
        splits = sorted({*self._file_splits(), *images})
        found = f"it has {', '.join(splits)}{nearest(split, splits)}"
        wanted = (
            f"a folder must hold {split}.csv, {split}.jsonl, {split}.parquet or {split}-00000.parquet …, or images: "
            f"{split}/<class>/*.png, or <class>/*.png for the split train; also .jpg, .bmp, .gif, .tif, .webp"
        )
        raise DataError(f"{self.path}: there is no split {split!r}; {found if splits else wanted}")

    def folder(self) -> Path:
        """The folder of the configuration. Raises DataError that lists the sub-folders there are."""
        if self.config_name is None:
            return self.path
        folder = self.path / self.config_name
        if not folder.is_dir():
            found = sorted(entry.name for entry in self.path.iterdir() if entry.is_dir())
            raise DataError(
                f"{self.path}: there is no configuration (sub-folder) {self.config_name!r}; "
                f"it has {', '.join(found) or 'no sub-folders'}{nearest(self.config_name, found)}"
            )
        return folder

    def _file_splits(self) -> list[str]:
        files = [file for folder in (self.folder(), self.folder() / "data") for file in _data_files(folder)]
        return sorted({_SHARD.sub("", file.stem) for file in files})

    @staticmethod
    def _readable(path: Path) -> Path:
        if path.suffix.lower() not in EXTENSIONS:
            raise DataError(f"{path}: a dataset file must end in {', '.join(EXTENSIONS)}")
        return path


def find_local(name: str, config_name: str | None) -> LocalDataset | None:
    """The local dataset that a name means, or None if it is no existing path.

    Raises DataError for what can only be a path and does not exist.
    """
    path = Path(name).expanduser()
    if path.exists():
        return LocalDataset(path, config_name)
    if path.is_absolute() or name.startswith((".", "~")) or path.suffix.lower() in EXTENSIONS:
        folder = path.parent
        beside = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        raise DataError(f"there is no file or folder {shown(name, PATH_LENGTH)}{nearest(path.name, beside)}")
    return None


def _data_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in EXTENSIONS)


def _split_files(folder: Path, split: str) -> tuple[Path, ...]:
    """`<split>.<ext>`, or else the shards `<split>-00000….<ext>`; of one kind only."""
    named = [file for file in _data_files(folder) if file.stem == split]
    shards = [file for file in _data_files(folder) if _SHARD.sub("", file.stem) == split]
    files = named or shards
    if len({file.suffix for file in files}) > 1:
        found = ", ".join(file.name for file in files)
        raise DataError(f"{folder}: split {split!r} is there twice ({found}); give the file itself as name")
    return tuple(files)
