"""Splits read by the library `datasets`: hub datasets and folders written by `save_to_disk`."""

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
"""File that `Dataset.save_to_disk` writes beside the rows."""
METADATA_FILES = {_STATE, "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
"""JSON files of the library that contain no rows."""


@dataclass(frozen=True)
class DatasetsTable:
    """One split, memory-mapped."""

    dataset: Any
    """A `datasets.Dataset`."""
    identity: Callable[[], str]
    """Computes the fingerprint of the rows."""
    folder: Path | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, including those nested in structs."""
        return tuple(dict.fromkeys(column_names(self._tree)))

    def count(self) -> int:
        """Number of rows."""
        return len(self.dataset)

    def fingerprint(self) -> str:
        """Return the commit of a hub dataset, or the hash of a saved dataset's files."""
        return self.identity()

    def sources(self) -> str:
        """Return the fingerprint, which needs no reading of rows."""
        return self.fingerprint()

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Yield values of the given columns, row by row; integer classes become names, images stay encoded."""
        columns = [find_keys(self._tree, field) or (field,) for field in fields]
        selected = self.dataset.select_columns(list(dict.fromkeys(keys[0] for keys in columns))).with_format("arrow")
        batch_size = rows_per_batch(selected.data.num_rows, selected.data.nbytes)
        for batch in (selected if rows is None else selected.select(rows)).iter(batch_size=batch_size):
            yield from arrow_values(batch, columns, self._schema)

    @property
    def _schema(self) -> pa.Schema:
        return self.dataset.features.arrow_schema

    @cached_property
    def _tree(self) -> Tree:
        return schema_tree(self._schema)


def is_saved(folder: Path) -> bool:
    """Whether the folder was written by `Dataset.save_to_disk`."""
    return (folder / _STATE).is_file()


def saved_splits(folder: Path) -> dict[str, Path]:
    """Return split -> folder in a folder written by `DatasetDict.save_to_disk`; empty for other folders."""
    return {state.parent.name: state.parent for state in sorted(folder.glob(f"*/{_STATE}"))}


def open_saved(folder: Path, base: Path) -> DatasetsTable:
    """Open a dataset written by `Dataset.save_to_disk`. base: folder of relative paths in its columns.

    Raises DataError if its files are missing or damaged.
    """
    from datasets import load_from_disk

    try:
        dataset = load_from_disk(str(folder))
    except IndexError:  # no files with rows
        raise DataError(f"{folder}: the saved dataset has no rows") from None
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        raise DataError(f"{folder}: not a readable dataset written by save_to_disk ({one_line(error)})") from None
    return DatasetsTable(dataset, lambda: _digest(dataset), base)


def _digest(dataset: Any) -> str:
    """Hash the files of a saved dataset and the types of its columns."""
    files = [file_digest(Path(file["filename"])) for file in dataset.cache_files]
    return fingerprint({"files": files, "features": dataset.features.to_dict()})


def one_line(error: Exception) -> str:
    """Return the message of an error of the library in one line."""
    return shortened(error) or type(error).__name__
