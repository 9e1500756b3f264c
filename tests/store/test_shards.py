"""Shards, manifests and the plan of the shards to write."""

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
    """Write codes in which row r has r % 3 positions, each with the single active latent r."""
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
def test_shard_ranges_cover_every_row_once(n_rows: int, shard_rows: int) -> None:
    rows = [row for start, stop in shard_ranges(n_rows, shard_rows) for row in range(start, stop)]
    assert rows == list(range(n_rows))


def test_codes_are_read_in_row_order(tmp_path: Path) -> None:
    write_codes(tmp_path)
    shards = list(iter_codes(tmp_path))
    assert [shard.start for shard in shards] == [0, 4, 8]
    latents = np.concatenate([shard.indices for shard in shards])
    assert latents.tolist() == [1, 2, 2, 4, 5, 5, 7, 8, 8]
    assert all(shard.d_sae == 16 for shard in shards)


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    arrays = {"x": np.arange(1000.0)}
    first = write_shard(tmp_path / "a", 0, (0, 1), arrays)
    second = write_shard(tmp_path / "b", 0, (0, 1), arrays)
    assert first == second


def test_complete_folder_has_no_missing_shards(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    assert plan_shards(tmp_path, SETTINGS, ranges).missing == ()


def test_truncated_shard_is_detected_and_planned_again(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    path = tmp_path / "shard-00001.npz"
    path.write_bytes(path.read_bytes()[:-7])
    plan = plan_shards(tmp_path, SETTINGS, ranges)
    assert plan.missing == (1,)
    assert "shard-00001.npz" in plan.reason
    with pytest.raises(StoreError, match=r"shard-00001\.npz does not match its recorded hash"):
        list(iter_codes(tmp_path))


def test_altered_byte_is_detected(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    path = tmp_path / "shard-00002.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert plan_shards(tmp_path, SETTINGS, ranges).missing == (2,)


def test_unrecorded_shards_are_planned_again(tmp_path: Path) -> None:
    ranges = shard_ranges(10, 4)
    (tmp_path / "shard-00000.npz").write_bytes(b"left by a run that was killed before recording it")
    assert plan_shards(tmp_path, SETTINGS, ranges).missing == (0, 1, 2)


def test_other_settings_are_a_conflict_that_lists_the_difference(tmp_path: Path) -> None:
    ranges = write_codes(tmp_path)
    plan = plan_shards(tmp_path, {**SETTINGS, "hook": "blocks.1.hook_resid_post"}, ranges)
    assert plan.conflicts == ("hook: 'blocks.0.hook_resid_post' -> 'blocks.1.hook_resid_post'",)


def test_reading_an_incomplete_folder_names_the_command_to_run(tmp_path: Path) -> None:
    write_codes(tmp_path)
    manifest = Manifest.load(tmp_path)
    assert manifest is not None
    manifest.shards.pop()
    manifest.save(tmp_path)
    with pytest.raises(StoreError, match="--extract-only"):
        list(iter_codes(tmp_path))


def test_object_arrays_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_shard(tmp_path, 0, (0, 1), {"x": np.asarray([{}], dtype=object)})
    assert not list(tmp_path.iterdir())


def test_values_outside_the_float16_range_keep_float32(tmp_path: Path) -> None:
    large = codes_arrays(np.asarray([0, 1]), np.asarray([3]), np.asarray([1e5], np.float32), np.asarray([0, 1]), 8)
    small = codes_arrays(np.asarray([0, 1]), np.asarray([3]), np.asarray([1e-6], np.float32), np.asarray([0, 1]), 8)
    usual = codes_arrays(np.asarray([0, 1]), np.asarray([3]), np.asarray([1.5], np.float32), np.asarray([0, 1]), 8)
    assert "values_byte3" in large
    assert "values_byte3" in small
    assert "values_byte2" not in usual


def test_shards_of_an_earlier_version_are_valid(tmp_path: Path) -> None:
    """Earlier versions stored indptr, indices and values without byte planes."""
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


def test_pooled_hidden_states_of_mixed_precision_are_read_as_float32(tmp_path: Path) -> None:
    manifest = Manifest("hidden", SETTINGS, 6)
    states = np.linspace(-2, 2, 12, dtype=np.float32).reshape(6, 2)
    manifest.add(write_shard(tmp_path, 0, (0, 3), {"pooled_mean": states[:3].astype(np.float16)}))
    manifest.add(write_shard(tmp_path, 1, (3, 6), {"pooled_mean": states[3:]}))
    manifest.save(tmp_path)
    found = read_pooled_hidden(tmp_path, "mean")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[3:], states[3:])
    np.testing.assert_allclose(found[:3], states[:3], rtol=2**-11)


def test_pooled_hidden_states_need_only_their_own_array(tmp_path: Path) -> None:
    manifest = Manifest("hidden", SETTINGS, 3)
    manifest.add(write_shard(tmp_path, 0, (0, 3), {"pooled_mean": np.ones((3, 2), np.float32)}))
    manifest.save(tmp_path)
    assert read_pooled_hidden(tmp_path, "mean").shape == (3, 2)


@contextmanager
def as_unprivileged_user() -> Iterator[None]:
    """Run as user `nobody` if the tests run as root, which may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_folder_without_write_permission_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as name:  # user `nobody` cannot enter pytest's folders
        folder = Path(name)
        folder.chmod(0o555)
        with as_unprivileged_user(), pytest.raises(StoreError, match="no permission"):
            write_shard(folder / "x", 0, (0, 1), {"x": np.zeros(1)})
        assert not list(folder.iterdir())
