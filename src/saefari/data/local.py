"""Local datasets: a file, a saved dataset, or a folder with files, saved datasets or images per split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saefari.data.datasets_table import METADATA_FILES, is_saved, open_saved, saved_splits
from saefari.data.file_endings import ENDINGS_HELP, file_ending, without_ending
from saefari.data.files import FileTable
from saefari.data.image_folder import find_images
from saefari.data.table import Table
from saefari.errors import PATH_LENGTH, DataError, nearest, shown

_SHARD = re.compile(r"-\d+(-of-\d+)?$")
_MOSAIC = "local/"
"""MOSAIC's prefix of local datasets; it is followed by the path of a file without its ending."""


@dataclass(frozen=True)
class LocalDataset:
    """Dataset at an existing path."""

    path: Path
    config_name: str | None

    @property
    def is_single(self) -> bool:
        """Whether it is a file or a saved dataset without splits; any split name then means all rows.

        Raises DataError if the configuration does not exist.
        """
        return self.path.is_file() or is_saved(self.folder())

    def table(self, split: str) -> Table:
        """Open the rows or images of one split. Raises DataError with the existing splits if there is none."""
        if self.path.is_file():
            return FileTable((self._readable(self.path),))
        folder = self.folder()
        if is_saved(folder):
            return open_saved(folder, folder)
        files, saved = _split_files(folder, split) or _split_files(folder / "data", split), saved_splits(folder)
        if files and split in saved:
            raise _duplicate_split(folder, split, [*files, saved[split]])
        if files:
            return FileTable(files)
        if split in saved:
            return open_saved(saved[split], folder)
        images = find_images(folder)
        if split in images:
            return images[split]
        splits = sorted({*self._file_splits(), *saved, *images})
        existing = f"splits: {', '.join(splits)}{nearest(split, splits)}"
        expected = (
            f"a folder must contain {split}.csv, {split}.jsonl.gz, {split}-00000.parquet … (endings: {ENDINGS_HELP}), "
            f"the output of datasets' save_to_disk, or images: {split}/<class>/*.png, or <class>/*.png for the split "
            "train; also .jpg, .bmp, .gif, .tif, .webp"
        )
        raise DataError(f"{self.path}: split {shown(split)} does not exist; {existing if splits else expected}")

    def folder(self) -> Path:
        """Return the folder of the configuration. Raises DataError with the existing sub-folders if there is none."""
        if self.config_name is None:
            return self.path
        folder = self.path / self.config_name
        if not folder.is_dir():
            folders = sorted(entry.name for entry in self.path.iterdir() if entry.is_dir())
            raise DataError(
                f"{self.path}: configuration (sub-folder) {shown(self.config_name)} does not exist; "
                f"sub-folders: {', '.join(folders) or 'none'}{nearest(self.config_name, folders)}"
            )
        return folder

    def _file_splits(self) -> list[str]:
        files = [file for folder in (self.folder(), self.folder() / "data") for file in _data_files(folder)]
        return sorted({_SHARD.sub("", without_ending(file.name)) for file in files})

    @staticmethod
    def _readable(path: Path) -> Path:
        if file_ending(path.name) is None:
            raise DataError(f"{path}: a dataset file must end in {ENDINGS_HELP}")
        return path


def find_local(name: str, config_name: str | None) -> LocalDataset | None:
    """Return the local dataset at a path, or None if there is no such path.

    Raises DataError if the path does not exist and the name cannot be a hub dataset.
    """
    path = Path(name).expanduser()
    if path.exists():
        return LocalDataset(path, config_name)
    hint = mosaic_hint(name)
    if hint and (_mosaic_file(name) or name.count("/") > 1):  # otherwise it may be a hub dataset
        raise DataError(f"path {shown(name, PATH_LENGTH)} does not exist; {hint}")
    if path.is_absolute() or name.startswith((".", "~")) or file_ending(path.name) is not None:
        folder = path.parent
        siblings = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        raise DataError(f"path {shown(name, PATH_LENGTH)} does not exist{nearest(path.name, siblings)}")
    return None


def mosaic_hint(name: str) -> str:
    """Return advice for MOSAIC's name of a local file; empty for other names."""
    if not name.startswith(_MOSAIC):
        return ""
    rest = name.removeprefix(_MOSAIC)
    path = _mosaic_file(name) or f"{without_ending(rest)}{file_ending(rest) or '.csv'} (which does not exist)"
    return f"this is MOSAIC's name of a local file; give the path of the file: {path}"


def _mosaic_file(name: str) -> Path | None:
    """Return the file that MOSAIC's name stands for, if it exists."""
    path = Path(name.removeprefix(_MOSAIC))
    files = _data_files(path.parent) if name.startswith(_MOSAIC) else []
    return next((file for file in files if path.name in (file.name, without_ending(file.name))), None)


def _data_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.is_file() and file.name not in METADATA_FILES)
    return sorted(file for file in files if file_ending(file.name) is not None)


def _split_files(folder: Path, split: str) -> tuple[Path, ...]:
    """Return `<split>.<ending>`, or else the shards `<split>-00000….<ending>`, all with the same ending."""
    exact = [file for file in _data_files(folder) if without_ending(file.name) == split]
    shards = [file for file in _data_files(folder) if _SHARD.sub("", without_ending(file.name)) == split]
    files = exact or shards
    if len({file_ending(file.name) for file in files}) > 1:
        raise _duplicate_split(folder, split, files)
    return tuple(files)


def _duplicate_split(folder: Path, split: str, found: Sequence[Path]) -> DataError:
    names = ", ".join(path.name for path in found)
    return DataError(f"{folder}: split {shown(split)} is ambiguous ({names}); set name to the one to use")
