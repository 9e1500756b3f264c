"""Shards, manifests and the decision what must be made again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.errors import StoreError
from saefari.store import (
    Manifest,
    codes_arrays,
    iter_codes,
    plan_shards,
    read_codes_head,
    read_pooled_hidden,
    shard_ranges,
    write_shard,
)

SETTINGS = {"model": "tiny", "hook": "blocks.0.hook_resid_post"}


def write_codes(folder: Path, n_rows: int = 10, shard_rows: int = 4) -> list[tuple[int, int]]:
    """Row r has r % 3 positions, each with one active latent, r."""
    ranges = shard_ranges(n_rows, shard_rows)
    manifest = Manifest("codes", SETTINGS, n_rows)
    for index, (start, stop) in enumerate(ranges):
        counts = np.arange(start, stop) % 3
        n = int(counts.sum())
        offsets = np.concatenate([[0], np.cumsum(counts)])
        latents = np.repeat(np.arange(start, stop), counts)
        arrays = codes_arrays(np.arange(n + 1), latents, np.full(n, 0.5, np.float32), offsets, 16)
        manifest.add(write_shard(folder, index, (start, stop), arrays))
        manifest.save(folder)
    return ranges


@given(st.integers(0, 500), st.integers(1, 60))
def test_ranges_cover_every_row_once(n_rows: int, shard_rows: int) -> None:
    rows = [row for start, stop in shard_ranges(n_rows, shard_rows) for row in range(start, stop)]
    assert rows == list(range(n_rows))


def test_codes_come_back_in_row_order(tmp_path: Path) -> None:
    write_codes(tmp_path)
    shards = list(iter_codes(tmp_path))
    assert [shard.start for shard in shards] == [0, 4, 8]
    latents = np.concatenate([shard.indices for shard in shards])
    assert latents.tolist() == [1, 2, 2, 4, 5, 5, 7, 8, 8]
    assert all(shard.d_sae == 16 for shard in shards)


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    arrays = {"x": np.arange(1000.0)}
    first = write_shard(tmp_path / "a", 0, (0, 1), arrays)
    second = write_shard(tmp_path / "b", 0, (0, 1), arrays)
    assert first == second


def test_a_complete_folder_needs_nothing(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    assert plan_shards(tmp_path, SETTINGS, ranges).missing == ()


def test_a_truncated_shard_is_found_and_made_again(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    path = tmp_path / "shard-00001.npz"
    path.write_bytes(path.read_bytes()[:-7])
    decision = plan_shards(tmp_path, SETTINGS, ranges)
    assert decision.missing == (1,)
    assert "shard-00001.npz" in decision.reason
    with pytest.raises(StoreError, match=r"shard-00001\.npz is not as recorded"):
        list(iter_codes(tmp_path))


def test_an_altered_byte_is_found(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    path = tmp_path / "shard-00002.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert plan_shards(tmp_path, SETTINGS, ranges).missing == (2,)


def test_a_folder_that_exists_is_not_a_folder_that_is_done(tmp_path: Path) -> None:
    ranges = shard_ranges(10, 4)
    (tmp_path / "shard-00000.npz").write_bytes(b"left by a run that died before it recorded it")
    assert plan_shards(tmp_path, SETTINGS, ranges).missing == (0, 1, 2)


def test_other_settings_are_a_conflict_that_says_what_differs(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    decision = plan_shards(tmp_path, {**SETTINGS, "hook": "blocks.1.hook_resid_post"}, ranges)
    assert decision.conflicts == ("hook: 'blocks.0.hook_resid_post' -> 'blocks.1.hook_resid_post'",)


def test_reading_an_incomplete_folder_says_what_to_run(tmp_path: Path) -> None:
    write_codes(tmp_path)
    manifest = Manifest.load(tmp_path)
    assert manifest is not None
    manifest.shards.pop()
    manifest.save(tmp_path)
    with pytest.raises(StoreError, match="--extract-only"):
        list(iter_codes(tmp_path))


def test_an_object_array_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_shard(tmp_path, 0, (0, 1), {"x": np.asarray([{}], dtype=object)})
    assert not list(tmp_path.iterdir())


def test_values_keep_their_range(tmp_path: Path) -> None:
    large = codes_arrays(np.asarray([0, 1]), np.asarray([3]), np.asarray([1e5], np.float32), np.asarray([0, 1]), 8)
    small = codes_arrays(np.asarray([0, 1]), np.asarray([3]), np.asarray([1e-6], np.float32), np.asarray([0, 1]), 8)
    usual = codes_arrays(np.asarray([0, 1]), np.asarray([3]), np.asarray([1.5], np.float32), np.asarray([0, 1]), 8)
    assert "values_byte3" in large
    assert "values_byte3" in small
    assert "values_byte2" not in usual


def test_shards_of_an_earlier_version_are_read_and_kept(tmp_path: Path) -> None:
    """A folder that was begun when indices and values were stored as they are, and pooled states in float32."""
    ranges = write_codes(tmp_path)
    expected = list(iter_codes(tmp_path))
    manifest = Manifest.load(tmp_path)
    assert manifest is not None
    old = {
        "indptr": expected[0].indptr,
        "indices": expected[0].indices.astype(np.uint16),
        "values": expected[0].values.astype(np.float16),
        "offsets": expected[0].offsets,
        "d_sae": np.asarray(16),
    }
    manifest.add(write_shard(tmp_path, 0, ranges[0], old))
    manifest.save(tmp_path)
    assert plan_shards(tmp_path, SETTINGS, ranges).missing == ()
    for shard, new in zip(iter_codes(tmp_path), expected, strict=True):
        np.testing.assert_array_equal(shard.to_csr().toarray(), new.to_csr().toarray())
        assert shard.indices.dtype == np.int32
        assert shard.values.dtype == np.float32
    head = read_codes_head(tmp_path, manifest.shards[0])
    np.testing.assert_array_equal(head.indices, expected[0].indices)
    np.testing.assert_array_equal(head.values, expected[0].values)


def test_pooled_hidden_states_of_both_precisions_are_read_as_float32(tmp_path: Path) -> None:
    manifest = Manifest("hidden", SETTINGS, 6)
    states = np.linspace(-2, 2, 12, dtype=np.float32).reshape(6, 2)
    manifest.add(write_shard(tmp_path, 0, (0, 3), {"pooled_mean": states[:3].astype(np.float16)}))
    manifest.add(write_shard(tmp_path, 1, (3, 6), {"pooled_mean": states[3:]}))
    manifest.save(tmp_path)
    found = read_pooled_hidden(tmp_path, "mean")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[3:], states[3:])
    np.testing.assert_allclose(found[:3], states[:3], rtol=2**-11)


def test_pooled_hidden_states_read_only_their_own_array(tmp_path: Path) -> None:
    manifest = Manifest("hidden", SETTINGS, 3)
    manifest.add(write_shard(tmp_path, 0, (0, 3), {"pooled_mean": np.ones((3, 2), np.float32)}))
    manifest.save(tmp_path)
    assert read_pooled_hidden(tmp_path, "mean").shape == (3, 2)


@contextmanager
def without_root() -> Iterator[None]:
    """Root may write anywhere: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_without_permission_is_one_clear_error() -> None:
    with tempfile.TemporaryDirectory() as name:  # nobody may not enter pytest's own folders
        folder = Path(name)
        folder.chmod(0o555)
        with without_root(), pytest.raises(StoreError, match="no permission"):
            write_shard(folder / "x", 0, (0, 1), {"x": np.zeros(1)})
        assert not list(folder.iterdir())
