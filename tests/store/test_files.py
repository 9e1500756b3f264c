"""Atomic files, the lock and layout of the output tree, samples and splits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from saefari.errors import StoreError
from saefari.store import (
    Layout,
    SamplesWriter,
    iter_token_rows,
    lock_tree,
    read_samples_record,
    read_split,
    write_json,
    write_split,
)
from saefari.store.files import atomic_write, read_json


def test_failed_write_leaves_only_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_full_disk_is_a_store_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    full_disk = pytest.raises(StoreError, match="the disk is full; free some space")
    with full_disk, atomic_write(tmp_path / "x.json"), open("/dev/full", "w") as full:
        full.write("x" * 100_000)


def test_nan_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})


def test_second_run_on_the_same_tree_is_an_error(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from saefari.store import lock_tree
try:
    with lock_tree(Path({str(tmp_path)!r})):
        print("locked")
except Exception as error:
    print(error)
"""
    with lock_tree(tmp_path):
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "another run is writing to" in second.stdout
    third = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert third.stdout == "locked\n"


def test_layout() -> None:
    layout = Layout(Path("output/activations"), Path("output/classifications"))
    samples = layout.samples("gemma", "tweets", "es", "train")
    assert samples == Path("output/activations/gemma/tweets/es/train")
    assert layout.samples("gemma", "tweets", None, "train") == Path("output/activations/gemma/tweets/train")
    assert layout.sae("gemma", 3, "3k") == Path("output/saes/gemma/layer_3/3k")


def row(i: int) -> dict[str, object]:
    ids = np.arange(i % 4, dtype=np.int32)
    return {
        "row": i,
        "id": str(i),
        "text": "t",
        "label": "a",
        "group": None,
        "n_tokens": len(ids),
        "input_ids": ids,
        "valid": ids[1:],
        "span_start": ids[1:],
        "span_end": ids[1:],
    }


def test_samples_are_read_shard_by_shard(tmp_path: Path) -> None:
    with SamplesWriter(tmp_path, {"max_length": 8}) as writer:
        for i in range(5000):
            writer.write(row(i))
    record = read_samples_record(tmp_path)
    assert record is not None
    assert record["n_rows"] == 5000
    shards = dict(iter_token_rows(tmp_path))
    assert [len(rows) for rows in shards.values()] == [2048, 2048, 904]
    _, third = next(iter_token_rows(tmp_path, [2]))
    assert third[3].input_ids.tolist() == list(range((4096 + 3) % 4))
    assert third[3].valid.tolist() == list(range(1, (4096 + 3) % 4))


def test_failed_run_leaves_no_samples(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), SamplesWriter(tmp_path, {}) as writer:  # noqa: PT012
        writer.write(row(1))
        raise RuntimeError
    assert read_samples_record(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_altered_samples_have_no_valid_record(tmp_path: Path) -> None:
    with SamplesWriter(tmp_path, {}) as writer:
        writer.write(row(1))
    path = tmp_path / "samples.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    assert read_samples_record(tmp_path) is None


def test_split_round_trip(tmp_path: Path) -> None:
    parts = np.asarray([0, 1, -1, 0], dtype=np.int8)
    write_split(tmp_path, parts, {}, [])
    assert read_split(tmp_path).tolist() == parts.tolist()
