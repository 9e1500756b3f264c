"""Local data files as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from saefari.data.columns import Keys, Tree, column_names, find_keys, missing_column
from saefari.data.csv_files import csv_count, csv_tree, csv_values
from saefari.data.file_endings import file_ending
from saefari.data.json_files import json_count, json_tree, json_values
from saefari.data.parquet import parquet_count, parquet_tree, parquet_values
from saefari.data.table import take_rows
from saefari.fingerprint import file_digest


@dataclass(frozen=True)
class _Format:
    """Functions that read one kind of file."""

    tree: Callable[[Path], Tree]
    count: Callable[[Path], int]
    values: Callable[[Path, Sequence[Keys]], Iterator[tuple[object, ...]]]


_CSV = _Format(csv_tree, csv_count, csv_values)
_JSON = _Format(json_tree, json_count, json_values)
_PARQUET = _Format(parquet_tree, parquet_count, parquet_values)
_FORMATS = {".csv": _CSV, ".tsv": _CSV, ".jsonl": _JSON, ".ndjson": _JSON, ".json": _JSON, ".parquet": _PARQUET}


@dataclass(frozen=True)
class FileTable:
    """One or more concatenated files of the same kind."""

    paths: tuple[Path, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the first file, including nested ones. Raises DataError if it cannot be read."""
        return tuple(dict.fromkeys(column_names(self._tree)))

    @property
    def folder(self) -> Path:
        """Folder of the files."""
        return self.paths[0].parent

    def count(self) -> int:
        """Count the rows of all files; reads files other than Parquet once."""
        return sum(self._format.count(path) for path in self.paths)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file; of several files, the SHA-256 of their hashes."""
        hashes = [file_digest(path) for path in self.paths]
        return hashes[0] if len(hashes) == 1 else sha256("\n".join(hashes).encode()).hexdigest()

    def sources(self) -> str:
        """Return the fingerprint, which needs no reading of rows."""
        return self.fingerprint()

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Yield values of the given columns, row by row. Raises DataError with file and line of any damage."""
        columns = [self._keys(field) for field in fields]
        if rows is not None and self._format is _PARQUET:
            yield from self._parquet_rows(columns, np.asarray(rows, dtype=np.int64))
            return
        yield from take_rows((row for path in self.paths for row in self._format.values(path, columns)), rows)

    @property
    def _format(self) -> _Format:
        uncompressed = str(file_ending(self.paths[0].name)).split(".")[1]
        return _FORMATS[f".{uncompressed}"]

    @cached_property
    def _tree(self) -> Tree:
        return self._format.tree(self.paths[0])

    def _keys(self, field: str) -> Keys:
        keys = find_keys(self._tree, field)
        if keys is None:
            raise missing_column(self.paths[0], self._tree, field)
        return keys

    def _parquet_rows(self, columns: Sequence[Keys], rows: np.ndarray) -> Iterator[tuple[object, ...]]:
        """Read only the row groups that contain some of the rows."""
        start = 0
        for path in self.paths:
            stop = start + parquet_count(path)
            yield from parquet_values(path, columns, rows[(rows >= start) & (rows < stop)] - start)
            start = stop
