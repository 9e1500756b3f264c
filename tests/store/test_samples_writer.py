"""Failures while writing samples.parquet: a clear error, and no files left."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from saefari.errors import DataError, StoreError
from saefari.store import SamplesWriter, read_samples_record

ROW: dict[str, Any] = {
    "row": 0,
    "id": "0",
    "text": "t",
    "label": "a",
    "group": None,
    "n_tokens": 1,
    "input_ids": [5],
    "valid": [0],
    "span_start": [0],
    "span_end": [1],
}


@pytest.mark.parametrize("method", ["write_table", "close"])
def test_disk_that_fills_up_while_finishing_is_an_error(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, method, full)
    with pytest.raises(StoreError, match="the disk is full"), SamplesWriter(tmp_path, {}) as writer:
        writer.write(ROW)
    assert list(tmp_path.iterdir()) == []


def test_row_of_another_type_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError)), SamplesWriter(tmp_path, {}) as writer:
        writer.write({**ROW, "row": "no number"})
    assert list(tmp_path.iterdir()) == []


def test_split_without_rows_is_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(DataError, match="no rows"), SamplesWriter(tmp_path, {}):
            pass
        assert read_samples_record(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
