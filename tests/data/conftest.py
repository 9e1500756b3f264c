"""Fixtures that write datasets in every local format."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from saefari.config import DatasetSpec
from saefari.data import open_dataset

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, Any]
Writer = Callable[[Path, list[Row]], Path]


def write_csv(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


WRITERS: dict[str, Writer] = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


@pytest.fixture(params=sorted(WRITERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def write() -> Callable[[Path, list[Row]], Path]:
    """Write rows in the format of the file's extension."""
    return lambda path, rows: WRITERS[path.suffix[1:]](path, rows)


@pytest.fixture
def check_streaming() -> Callable[[Callable[[list[Row]], DatasetSpec]], None]:
    """Check that reading six times the rows needs no more memory; takes a function that saves rows."""

    def check(save: Callable[[list[Row]], DatasetSpec]) -> None:
        def peak(n_rows: int) -> int:
            dataset = open_dataset(save([{"body": f"{row} " * 50, "topic": "a"} for row in range(n_rows)]), "train")
            tracemalloc.start()
            assert sum(1 for _ in dataset.rows()) == dataset.n_rows == n_rows
            _, highest = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return highest

        peak(100)
        assert peak(12_000) < 2 * peak(2_000) + 100_000

    return check


def _write_image(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), colour).save(path)
    return path


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Write an image of one colour in the format of the file's extension."""
    return _write_image


@pytest.fixture(scope="session")
def cases() -> Path:
    """User inputs that failed in the past, beside the checkout; skips if missing."""
    folder = ROOT.parent / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the cases are not beside this checkout")
    return folder
