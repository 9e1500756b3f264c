"""samples.parquet: the rows of a dataset split as a model reads them, written before extraction.

Columns: row, id, text, label, group (as text), n_tokens, input_ids (list of int32), valid (list of int32: the valid
positions in input_ids), span_start and span_end (list of int32: character span of each valid position). With images
also: image (name in the dataset), pixels (SHA-256 of the decoded image), view (PNG or JPEG of what the model sees),
grid (list of int32: rows and columns of patches in the view) and patch (list of int32: cell of the grid for each valid
position, counted row by row; -1 for positions outside the image). Row group i contains the rows of shard i.
samples.json records the settings, split.parquet and split.json the train/test split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from saefari.errors import DataError, StoreError
from saefari.fingerprint import file_digest, file_sha256
from saefari.store.files import atomic_write, read_json, write_json, write_parquet
from saefari.store.layout import SAMPLES, SAMPLES_RECORD, SPLIT, SPLIT_RECORD
from saefari.store.shards import SHARD_ROWS

_INTS = pa.list_(pa.int32())
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("group", pa.string()),
        ("n_tokens", pa.int32()),
        ("input_ids", _INTS),
        ("valid", _INTS),
        ("span_start", _INTS),
        ("span_end", _INTS),
    ]
)
IMAGE_SCHEMA = pa.schema(
    [
        *SCHEMA,
        ("image", pa.string()),
        ("pixels", pa.string()),
        ("view", pa.binary()),
        ("grid", _INTS),
        ("patch", _INTS),
    ]
)
_PARTS = ["train", "test", "excluded"]
_PART_CODES = {"train": 0, "test": 1, "excluded": -1}


@dataclass(frozen=True)
class TokenisedRow:
    """Tokens of one row: input_ids int32 [n_tokens]; valid int32 [n_valid], indices into input_ids."""

    input_ids: np.ndarray
    valid: np.ndarray

    @property
    def length(self) -> int:
        """Number of positions that the model computes."""
        return len(self.input_ids)

    @property
    def model_input(self) -> np.ndarray:
        """Input of the model."""
        return self.input_ids


@dataclass(frozen=True)
class ImageRow:
    """Stored row with an image: dataset row number, text, number of positions, and indices of the valid ones."""

    row: int
    text: str | None
    length: int
    valid: np.ndarray


class SamplesWriter:
    """Writer of samples.parquet, one shard's rows at a time; file and record appear only on success.

    Raises StoreError if it cannot be written and DataError if there are no rows; nothing is left on disk then.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], schema: pa.Schema = SCHEMA) -> None:
        """schema: SCHEMA, or IMAGE_SCHEMA for models that read images."""
        self._folder = folder
        self._settings = settings
        self._schema = schema
        self.skipped: list[dict[str, Any]] = []
        """Dataset rows that are not written: row, id and reason."""
        self._n_rows = 0
        self._pending: list[dict[str, Any]] = []

    def __enter__(self) -> SamplesWriter:
        with ExitStack() as opened:
            temporary = opened.enter_context(atomic_write(self._folder / SAMPLES))
            self._writer = opened.enter_context(pq.ParquetWriter(temporary, self._schema, compression="zstd"))
            opened.push(self._finish)
            self._opened = opened.pop_all()
        return self

    @property
    def n_rows(self) -> int:
        """Rows written so far."""
        return self._n_rows + len(self._pending)

    def write(self, row: dict[str, Any]) -> None:
        """Add one row; its keys are the columns."""
        self._pending.append(row)
        if len(self._pending) == SHARD_ROWS:
            self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)
        if kind is None:
            record = {
                "settings": self._settings,
                "n_rows": self._n_rows,
                "sha256": file_sha256(self._folder / SAMPLES),
            }
            if self.skipped:
                record["skipped"] = self.skipped
            write_json(self._folder / SAMPLES_RECORD, record)

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the remaining rows before the file is closed and renamed; an error here discards it."""
        if kind is None:
            self._flush()
            if self._n_rows == 0:
                raise DataError(f"{self._folder}: the split has no rows")

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(pa.Table.from_pylist(self._pending, self._schema), row_group_size=SHARD_ROWS)
            self._n_rows += len(self._pending)
            self._pending = []


def read_samples_record(folder: Path) -> dict[str, Any] | None:
    """Return settings, n_rows and sha256 of samples.parquet; None if it is missing or does not match its hash."""
    record: dict[str, Any] | None = read_json(folder / SAMPLES_RECORD)
    path = folder / SAMPLES
    if record is None or not path.exists() or file_digest(path) != record["sha256"]:
        return None
    return record


def has_images(folder: Path) -> bool:
    """Whether the samples have images. Raises StoreError if the split was not extracted yet."""
    path = folder / SAMPLES
    if not path.exists():
        raise StoreError(f"{path} does not exist: run `python run_experiments.py --extract-only` first")
    return "view" in pq.read_schema(path).names


def _read_columns(path: Path, columns: list[str]) -> pa.Table:
    """Read columns without `pq.read_table`, which imports pandas and would slow down runs with nothing to do."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=columns).select(columns)


def read_samples(folder: Path, columns: Sequence[str]) -> pa.Table:
    """Read columns of all rows. Raises StoreError if the split was not extracted yet."""
    path = folder / SAMPLES
    if not path.exists():
        raise StoreError(f"{path} does not exist: run `python run_experiments.py --extract-only` first")
    return _read_columns(path, list(columns))


def iter_samples(folder: Path, columns: Sequence[str], shards: Sequence[int] | None = None) -> Iterator[pa.Table]:
    """Yield columns of all rows, one shard's rows at a time. shards: default all."""
    with pq.ParquetFile(folder / SAMPLES) as file:
        for shard in range(file.num_row_groups) if shards is None else shards:
            yield file.read_row_group(shard, columns=list(columns))


def iter_token_rows(folder: Path, shards: Sequence[int] | None = None) -> Iterator[tuple[int, list[TokenisedRow]]]:
    """Yield (shard index, tokens of its rows), one shard in memory at a time. shards: default all."""
    with pq.ParquetFile(folder / SAMPLES) as file:
        for shard in range(file.num_row_groups) if shards is None else shards:
            table = file.read_row_group(shard, columns=["input_ids", "valid"])
            ids, valid = table["input_ids"].combine_chunks(), table["valid"].combine_chunks()
            yield shard, [TokenisedRow(i, v) for i, v in zip(_lists(ids), _lists(valid), strict=True)]


def iter_position_counts(folder: Path) -> Iterator[np.ndarray]:
    """Yield the number of valid positions per row, int64 [n_rows], shard by shard."""
    for table in iter_samples(folder, ["valid"]):
        yield table["valid"].combine_chunks().value_lengths().to_numpy().astype(np.int64)


def iter_image_rows(folder: Path, shards: Sequence[int] | None = None) -> Iterator[tuple[int, list[ImageRow]]]:
    """Yield (shard index, its rows) of a split with images. shards: default all."""
    with pq.ParquetFile(folder / SAMPLES) as file:
        for shard in range(file.num_row_groups) if shards is None else shards:
            table = file.read_row_group(shard, columns=["row", "text", "n_tokens", "valid"])
            columns = (table[name].to_pylist() for name in ("row", "text", "n_tokens"))
            yield shard, [ImageRow(*row) for row in zip(*columns, _lists(table["valid"].combine_chunks()), strict=True)]


def write_split(
    folder: Path,
    parts: np.ndarray,
    settings: dict[str, Any],
    warnings: Sequence[str],
    tied: Mapping[str, int] | None = None,
) -> None:
    """Write the train/test split. parts: int8 [n_rows], 0 train, 1 test, -1 excluded.

    tied: number of rows that share a text with another row, see `count_tied`; None for images.
    """
    names = np.asarray(_PARTS)[parts]  # -1 is the last name
    table = pa.table({"row": np.arange(len(parts)), "part": names})
    write_parquet(folder / SPLIT, table)
    counts = {name: int((names == name).sum()) for name in _PARTS}
    digest = file_sha256(folder / SPLIT)
    record = {"settings": settings, "counts": counts, "warnings": list(warnings), "sha256": digest}
    write_json(folder / SPLIT_RECORD, record | ({} if tied is None else {"tied": dict(tied)}))


def read_split_record(folder: Path) -> dict[str, Any] | None:
    """Return settings, counts, warnings and sha256 of the split; None if it is missing or does not match its hash."""
    record: dict[str, Any] | None = read_json(folder / SPLIT_RECORD)
    path = folder / SPLIT
    if record is None or not path.exists() or file_sha256(path) != record["sha256"]:
        return None
    return record


def read_split(folder: Path) -> np.ndarray:
    """Read the split, int8 [n_rows]: 0 train, 1 test, -1 excluded. Raises StoreError if there is none."""
    path = folder / SPLIT
    if not path.exists():
        raise StoreError(f"{path} does not exist: run `python run_experiments.py --extract-only` first")
    names = _read_columns(path, ["part"])["part"].to_pylist()
    return np.asarray([_PART_CODES[name] for name in names], dtype=np.int8)


def _lists(array: pa.ListArray) -> Iterator[np.ndarray]:
    """Return each list of an Arrow list column as a view into its values."""
    values, offsets = array.values.to_numpy(), array.offsets.to_numpy()
    return (values[start:stop] for start, stop in pairwise(offsets))
