"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from saefari.data.arrow import arrow_values, schema_tree
from saefari.data.columns import Keys, Tree, require_column, require_unique
from saefari.data.table import rows_per_batch
from saefari.errors import DataError


def parquet_tree(path: Path) -> Tree:
    """Return the file's columns. Raises DataError if it is not a Parquet file or has duplicate columns."""
    with _open(path) as file:
        require_unique(path, file.schema_arrow.names)
        return schema_tree(file.schema_arrow)


def parquet_count(path: Path) -> int:
    """Return the number of rows from the footer."""
    with _open(path) as file:
        return int(file.metadata.num_rows)


def parquet_values(path: Path, columns: Sequence[Keys], rows: np.ndarray | None = None) -> Iterator[tuple[object, ...]]:
    """Yield each row's values of the given columns. rows: ascending; read only their row groups. Default: all."""
    with _open(path) as file:
        tree = schema_tree(file.schema_arrow)
        for keys in columns:
            require_column(path, tree, keys)
        try:
            for batch in _batches(file, list(dict.fromkeys(".".join(keys) for keys in columns)), rows):
                yield from arrow_values(batch, columns, file.schema_arrow)
        except pa.ArrowException as error:
            raise DataError(f"{path}: damaged Parquet file: {error}") from None


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from None


def _batches(file: pq.ParquetFile, columns: list[str], rows: np.ndarray | None) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows in batches; selected rows are grouped by row group."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    if rows is None:
        batch_size = rows_per_batch(file.metadata.num_rows, sum(group.total_byte_size for group in groups))
        yield from file.iter_batches(batch_size=batch_size, columns=columns)
        return
    stops = np.cumsum([group.num_rows for group in groups])
    group_of_row = np.searchsorted(stops, rows, side="right")
    for number in np.unique(group_of_row):
        first = stops[number] - groups[number].num_rows
        table = file.read_row_group(int(number), columns=columns)
        yield from table.take(rows[group_of_row == number] - first).combine_chunks().to_batches()
