"""Images of selected rows equal those of the stream of all rows, for every kind of source."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from saefari.config import DatasetSpec
from saefari.data.dataset import Dataset, open_dataset
from saefari.data.images import decode_image

N_ROWS = 23
CHOSEN = [7, 22, 0, 7, 13]


def encoded(number: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (2, 3), (number, 2 * number, 5)).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(folder: Path) -> Dataset:
    """Two files with several row groups."""
    for shard, rows in enumerate((range(10), range(10, N_ROWS))):
        table = pa.table({"image": [{"bytes": encoded(i), "path": None} for i in rows]})
        pq.write_table(table, folder / f"train-{shard:05d}.parquet", row_group_size=4)
    return open_dataset(DatasetSpec(name=str(folder), image_field="image", label_field=None), "train")


def jsonl(folder: Path) -> Dataset:
    for i in range(N_ROWS):
        (folder / f"{i}.png").write_bytes(encoded(i))
    lines = [json.dumps({"image": None if i == 3 else f"{i}.png"}) for i in range(N_ROWS)]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return open_dataset(DatasetSpec(name=str(folder / "rows.jsonl"), image_field="image", label_field=None), "train")


def classes(folder: Path) -> Dataset:
    for i in range(N_ROWS):
        (folder / "train" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (folder / "train" / "ab"[i % 2] / f"{i:02d}.png").write_bytes(encoded(i))
    return open_dataset(DatasetSpec(name=str(folder), image_field="image"), "train")


def digits(_: Path) -> Dataset:
    return open_dataset(DatasetSpec(name="digits", image_field="image"), "train")


@pytest.mark.parametrize("source", [parquet, jsonl, classes, digits])
def test_images_of_selected_rows(source: Callable[[Path], Dataset], tmp_path: Path) -> None:
    dataset = source(tmp_path)
    every = [example.image for example in dataset.rows()]
    for expected, found in zip([every[row] for row in CHOSEN], dataset.images(CHOSEN), strict=True):
        assert found is not None
        assert expected is not None
        assert found.name == expected.name
        assert decode_image(found).tobytes() == decode_image(expected).tobytes()
    if source is jsonl:
        assert dataset.images([3, 4])[0] is None
    assert dataset.images([]) == []
