"""Where a local dataset lies: in a file, in a saved dataset, or in a folder that holds either, or images, per split."""

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
"""What MOSAIC puts before the path of a file, whose ending it leaves away, to name a dataset."""


@dataclass(frozen=True)
class LocalDataset:
    """A dataset named by a path that exists."""

    path: Path
    config_name: str | None

    @property
    def is_single(self) -> bool:
        """A file, or a saved dataset without splits: any split name means all its rows.

        Raises DataError where the configuration is not there.
        """
        return self.path.is_file() or is_saved(self.folder())

    def table(self, split: str) -> Table:
        """The rows of one split, or else its images. Raises DataError that lists the splits there are."""
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
        found = f"it has {', '.join(splits)}{nearest(split, splits)}"
        wanted = (
            f"a folder must contain {split}.csv, {split}.jsonl.gz, {split}-00000.parquet … (endings: {ENDINGS_HELP}), "
            f"the output of datasets' save_to_disk, or images: {split}/<class>/*.png, or <class>/*.png for the split "
            "train; also .jpg, .bmp, .gif, .tif, .webp"
        )
        raise DataError(f"{self.path}: there is no split {shown(split)}; {found if splits else wanted}")

    def folder(self) -> Path:
        """The folder of the configuration. Raises DataError that lists the sub-folders there are."""
        if self.config_name is None:
            return self.path
        folder = self.path / self.config_name
        if not folder.is_dir():
            found = sorted(entry.name for entry in self.path.iterdir() if entry.is_dir())
            raise DataError(
                f"{self.path}: there is no configuration (sub-folder) {shown(self.config_name)}; "
                f"it has {', '.join(found) or 'no sub-folders'}{nearest(self.config_name, found)}"
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
    """The local dataset that a name means, or None if it is no existing path.

    Raises DataError for what can only be a path and does not exist.
    """
    path = Path(name).expanduser()
    if path.exists():
        return LocalDataset(path, config_name)
    hint = mosaic_hint(name)
    if hint and (_mosaic_file(name) or name.count("/") > 1):  # else it may be a dataset of the hub
        raise DataError(f"there is no file or folder {shown(name, PATH_LENGTH)}; {hint}")
    if path.is_absolute() or name.startswith((".", "~")) or file_ending(path.name) is not None:
        folder = path.parent
        beside = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        raise DataError(f"there is no file or folder {shown(name, PATH_LENGTH)}{nearest(path.name, beside)}")
    return None


def mosaic_hint(name: str) -> str:
    """What to write in place of a name that MOSAIC gives a local file; empty for another name."""
    if not name.startswith(_MOSAIC):
        return ""
    rest = name.removeprefix(_MOSAIC)
    path = _mosaic_file(name) or f"{without_ending(rest)}{file_ending(rest) or '.csv'} (no such file is there now)"
    return f"MOSAIC names a local file like this, without its ending: give the file's path: {path}"


def _mosaic_file(name: str) -> Path | None:
    """The one file that MOSAIC's name means, if it is there."""
    path = Path(name.removeprefix(_MOSAIC))
    files = _data_files(path.parent) if name.startswith(_MOSAIC) else []
    return next((file for file in files if path.name in (file.name, without_ending(file.name))), None)


def _data_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.is_file() and file.name not in METADATA_FILES)
    return sorted(file for file in files if file_ending(file.name) is not None)


def _split_files(folder: Path, split: str) -> tuple[Path, ...]:
    """`<split>.<ending>`, or else the shards `<split>-00000….<ending>`; of one kind only."""
    named = [file for file in _data_files(folder) if without_ending(file.name) == split]
    shards = [file for file in _data_files(folder) if _SHARD.sub("", without_ending(file.name)) == split]
    files = named or shards
    if len({file_ending(file.name) for file in files}) > 1:
        raise _duplicate_split(folder, split, files)
    return tuple(files)


def _duplicate_split(folder: Path, split: str, found: Sequence[Path]) -> DataError:
    names = ", ".join(path.name for path in found)
    return DataError(f"{folder}: split {shown(split)} is there twice ({names}); give the one that is meant as name")
