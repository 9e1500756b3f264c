"""Local CSV, JSON-lines and Parquet files as tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from saefari.data.example import name_classes
from saefari.data.table import pick, rows_per_batch
from saefari.errors import DataError, enumerated, shown
from saefari.fingerprint import file_digest

_HEADER_ROWS = 1000
"""JSON lines looked at for column names: an object may leave out keys that are null."""
_LONGEST_FIELD = 2**31 - 1
_ONE_OBJECT = "each line must be one JSON object"


@dataclass(frozen=True)
class FileTable:
    """One or more files of the same kind, one after the other."""

    paths: tuple[Path, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns of the first file. Raises DataError if it cannot be read."""
        return _format(self.paths[0]).columns(self.paths[0])

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return self.paths[0].parent

    def count(self) -> int:
        """Rows in all files; reads CSV and JSON lines once."""
        return sum(_format(path).count(path) for path in self.paths)

    def fingerprint(self) -> str:
        """SHA-256 of the file's bytes; of the files' hashes where there are several."""
        hashes = [file_digest(path) for path in self.paths]
        return hashes[0] if len(hashes) == 1 else sha256("\n".join(hashes).encode()).hexdigest()

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Values of the given columns, row by row. Raises DataError naming the damaged file and line."""
        if rows is not None and all(path.suffix.lower() == ".parquet" for path in self.paths):
            yield from self._parquet_rows(fields, np.asarray(rows, dtype=np.int64))
            return
        yield from pick((row for path in self.paths for row in _format(path).values(path, fields)), rows)

    def _parquet_rows(self, fields: Sequence[str], rows: np.ndarray) -> Iterator[tuple[object, ...]]:
        """Of Parquet files only the row groups are read that hold some of the rows."""
        start = 0
        for path in self.paths:
            stop = start + _parquet_count(path)
            yield from _parquet_values(path, fields, rows[(rows >= start) & (rows < stop)] - start)
            start = stop


@dataclass(frozen=True)
class _Format:
    """How one kind of file is read."""

    columns: Callable[[Path], tuple[str, ...]]
    count: Callable[[Path], int]
    values: Callable[[Path, Sequence[str]], Iterator[tuple[object, ...]]]


def _csv_records(path: Path) -> Iterator[list[str]]:
    """The header and every row of a CSV file, each as long as the header; blank lines are skipped."""
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(filter(None, reader), None)
            if header is None:
                raise DataError(f"{path}: the file is empty; its first line must name the columns")
            yield header
            for record in filter(None, reader):
                if len(record) != len(header):
                    raise DataError(
                        f"{path}: line {reader.line_num}: {len(record)} fields where the header names "
                        f"{len(header)}; quote a field that holds commas"
                    )
                yield record
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num}: not valid CSV: {error}") from None
        except UnicodeDecodeError:
            raise _not_utf8(path) from None


def _csv_columns(path: Path) -> tuple[str, ...]:
    header = next(_csv_records(path))
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header names {', '.join(map(repr, twice))} twice; rename one")
    return tuple(header)


def _csv_count(path: Path) -> int:
    return sum(1 for _ in _csv_records(path)) - 1


def _csv_values(path: Path, fields: Sequence[str]) -> Iterator[tuple[object, ...]]:
    positions = [_position(path, _csv_columns(path), field) for field in fields]
    for record in islice(_csv_records(path), 1, None):
        yield tuple(record[position] for position in positions)


def _json_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except UnicodeDecodeError:
        raise _not_utf8(path) from None


def _json_objects(path: Path) -> Iterator[dict[str, object]]:
    for number, line in _json_lines(path):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}: line {number}: not valid JSON ({error}); {_ONE_OBJECT}") from None
        if not isinstance(value, dict):
            raise DataError(f"{path}: line {number}: holds a {type(value).__name__}; {_ONE_OBJECT}")
        yield value


def _json_columns(path: Path) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for value in islice(_json_objects(path), _HEADER_ROWS):
        names.update(dict.fromkeys(value))
    if not names:
        raise DataError(f"{path}: the file is empty; {_ONE_OBJECT}")
    return tuple(names)


def _json_count(path: Path) -> int:
    return sum(1 for _ in _json_lines(path))


def _json_values(path: Path, fields: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for value in _json_objects(path):
        yield tuple(value.get(field) for field in fields)


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from None


def _parquet_columns(path: Path) -> tuple[str, ...]:
    with _open_parquet(path) as file:
        return tuple(file.schema_arrow.names)


def _parquet_count(path: Path) -> int:
    with _open_parquet(path) as file:
        return int(file.metadata.num_rows)


def _parquet_values(path: Path, fields: Sequence[str], rows: np.ndarray | None = None) -> Iterator[tuple[object, ...]]:
    with _open_parquet(path) as file:
        for field in fields:
            _position(path, file.schema_arrow.names, field)
        names = _class_names(file.schema_arrow)
        try:
            for batch in _batches(file, list(dict.fromkeys(fields)), rows):
                columns = [name_classes(batch.column(field).to_pylist(), names.get(field)) for field in fields]
                yield from zip(*columns, strict=True)
        except pa.ArrowException as error:
            raise DataError(f"{path}: damaged Parquet file: {error}") from None


def _batches(file: pq.ParquetFile, columns: list[str], rows: np.ndarray | None) -> Iterator[pa.RecordBatch]:
    """The file's rows a few at a time; of chosen rows those of one row group together."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    if rows is None:
        batch_size = rows_per_batch(file.metadata.num_rows, sum(group.total_byte_size for group in groups))
        yield from file.iter_batches(batch_size=batch_size, columns=columns)
        return
    stops = np.cumsum([group.num_rows for group in groups])
    held_by = np.searchsorted(stops, rows, side="right")
    for number in np.unique(held_by):
        first = stops[number] - groups[number].num_rows
        table = file.read_row_group(int(number), columns=columns)
        yield from table.take(rows[held_by == number] - first).combine_chunks().to_batches()


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Names of the integer classes that `datasets` leaves in a Parquet file's metadata, by column."""
    stored = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(stored).get("info", {}).get("features", {}) if stored else {}
    return {
        column: feature["names"]
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def _position(path: Path, columns: Sequence[str], field: str) -> int:
    if field not in columns:
        raise DataError(f"{path}: has no column {shown(field)}; its columns are {enumerated(columns)}")
    return list(columns).index(field)


def _not_utf8(path: Path) -> DataError:
    """An error that names the first line which is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(f"{path}: line {number}: not UTF-8 ({error.reason}); save the file as UTF-8")
    return DataError(f"{path}: not UTF-8; save the file as UTF-8")


_CSV = _Format(_csv_columns, _csv_count, _csv_values)
_JSON_LINES = _Format(_json_columns, _json_count, _json_values)
_PARQUET = _Format(_parquet_columns, _parquet_count, _parquet_values)
_FORMATS = {".csv": _CSV, ".jsonl": _JSON_LINES, ".json": _JSON_LINES, ".parquet": _PARQUET}
EXTENSIONS = tuple(_FORMATS)


def _format(path: Path) -> _Format:
    return _FORMATS[path.suffix.lower()]
