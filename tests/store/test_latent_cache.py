"""Segments of a latent cache: reading slices, equal bytes, and files that are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from saefari.errors import StoreError
from saefari.store.latent_cache import CachedRows, CacheRecord, Segment, segment_is_intact, write_segment

CODES = np.asarray([[0, 2, 0], [0, 1, 3], [0, 0, 0], [0, 4, 0]], dtype=np.float32)
ROWS = CachedRows(sparse.csr_array(CODES), np.asarray([0, 2, 2, 4]), np.asarray([7, 8, 9]), ["b", None, "a"])


def test_a_latent_is_read_back(tmp_path: Path) -> None:
    record = write_segment(tmp_path, 0, "texts", (0, 5), ROWS, None)
    segment = Segment(tmp_path, record)
    assert (record.rows, record.positions, record.activations) == (3, 4, 4)
    assert [[part.tolist() for part in segment.activations(latent)] for latent in range(3)] == [
        [[], []],
        [[0, 1, 3], [2, 1, 4]],
        [[1], [3]],
    ]
    assert segment.array("counts").tolist() == [0, 3, 1]
    assert segment.array("row_counts").tolist() == [0, 2, 1]
    assert segment.array("labels").tolist() == [1, -1, 0]
    assert segment.classes == ("a", "b")
    np.testing.assert_array_equal(segment.to_csc().toarray(), CODES)


def test_latents_that_are_not_kept_are_counted(tmp_path: Path) -> None:
    segment = Segment(tmp_path, write_segment(tmp_path, 0, "texts", (0, 5), ROWS, np.asarray([2])))
    assert segment.activations(1)[0].tolist() == []
    assert segment.activations(2)[0].tolist() == [1]
    assert segment.array("counts").tolist() == [0, 3, 1]


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    records = [write_segment(tmp_path / name, 0, "texts", (0, 5), ROWS, None) for name in "ab"]
    assert records[0] == records[1]
    assert segment_is_intact(tmp_path / "a", records[0])


def test_damage_is_an_error(tmp_path: Path) -> None:
    record = write_segment(tmp_path, 0, "texts", (0, 5), ROWS, None)
    path = tmp_path / record.name
    path.write_bytes(b"\xff" * record.bytes)  # the size is right
    assert not segment_is_intact(tmp_path, record)
    with pytest.raises(StoreError, match=r"segment-00000.*build the cache again"):
        Segment(tmp_path, record)
    (tmp_path / "cache.json").write_text('{"settings": {}}')
    with pytest.raises(StoreError, match="is no record of a latent cache"):
        CacheRecord.load(tmp_path)
    assert CacheRecord.load(tmp_path / "none") is None
