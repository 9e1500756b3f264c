"""Splits that the library `datasets` holds: those of the hub, and folders that it saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from saefari.data.arrow import arrow_values, schema_tree
from saefari.data.columns import Tree, column_names, find_keys
from saefari.data.table import rows_per_batch
from saefari.errors import DataError, shortened
from saefari.fingerprint import file_digest, fingerprint

_STATE = "state.json"
"""What `Dataset.save_to_disk` writes beside the rows."""
METADATA_FILES = {_STATE, "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
"""JSON files of the library that hold no rows."""


@dataclass(frozen=True)
class DatasetsTable:
    """One split, memory-mapped."""

    dataset: Any
    """A `datasets.Dataset`."""
    identity: Callable[[], str]
    """Gives what decides the rows."""
    folder: Path | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, those inside structs too."""
        return tuple(dict.fromkeys(column_names(self._tree)))

    def count(self) -> int:
        """Number of rows."""
        return len(self.dataset)

    def fingerprint(self) -> str:
        """The commit of a dataset of the hub; the hash of a saved one's files."""
        return self.identity()

    def sources(self) -> str:
        """The fingerprint: no row is read for it."""
        return self.fingerprint()

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Values of the given columns, row by row; integer classes as their names, images not decoded."""
        columns = [find_keys(self._tree, field) or (field,) for field in fields]
        chosen = self.dataset.select_columns(list(dict.fromkeys(keys[0] for keys in columns))).with_format("arrow")
        batch_size = rows_per_batch(chosen.data.num_rows, chosen.data.nbytes)
        for batch in (chosen if rows is None else chosen.select(rows)).iter(batch_size=batch_size):
            yield from arrow_values(batch, columns, self._schema)

    @property
    def _schema(self) -> pa.Schema:
        return self.dataset.features.arrow_schema

    @cached_property
    def _tree(self) -> Tree:
        return schema_tree(self._schema)


def is_saved(folder: Path) -> bool:
    """The folder was written by `Dataset.save_to_disk`."""
    return (folder / _STATE).is_file()


def saved_splits(folder: Path) -> dict[str, Path]:
    """Split -> its saved dataset, in a folder written by `DatasetDict.save_to_disk`; empty where it was not."""
    return {state.parent.name: state.parent for state in sorted(folder.glob(f"*/{_STATE}"))}


def open_saved(folder: Path, base: Path) -> DatasetsTable:
    """A dataset written by `Dataset.save_to_disk`. base: where relative paths in its columns start.

    Raises DataError where its files are missing or damaged.
    """
    from datasets import load_from_disk

    try:
        dataset = load_from_disk(str(folder))
    except IndexError:  # of no files that hold rows
        raise DataError(f"{folder}: the saved dataset holds no rows") from None
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        raise DataError(f"{folder}: not a readable dataset of save_to_disk ({one_line(error)})") from None
    return DatasetsTable(dataset, lambda: _digest(dataset), base)


def _digest(dataset: Any) -> str:
    """Hash of a saved dataset's rows and of what its columns hold."""
    files = [file_digest(Path(file["filename"])) for file in dataset.cache_files]
    return fingerprint({"files": files, "features": dataset.features.to_dict()})


def one_line(error: Exception) -> str:
    """An error of the library in one line."""
    return shortened(error) or type(error).__name__
