"""Access to a few rows of a stored split, in the requested order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saefari.errors import StoreError
from saefari.store import (
    Manifest,
    SamplesWriter,
    codes_arrays,
    iter_codes,
    read_codes_rows,
    read_hidden_rows,
    read_pooled_hidden,
    read_sample_rows,
    shard_ranges,
    write_shard,
)

N_ROWS = 2100  # two row groups
REQUESTED = [4199, 1, 4101, 5, 1, 2001]
"""Requested dataset rows; the split contains the odd rows of the dataset."""


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Row i of the files is dataset row 2i + 1, with i % 3 positions that have i % 2 active latents each."""
    folder = tmp_path_factory.mktemp("split")
    with SamplesWriter(folder, {}) as writer:
        for i in range(N_ROWS):
            lists: list[int] = []
            writer.write(
                {"row": 2 * i + 1, "id": f"id{i}", "text": f"text {i}", "label": "a", "group": None, "n_tokens": 0}
                | dict.fromkeys(("input_ids", "valid", "span_start", "span_end"), lists)
            )
    codes, hidden = Manifest("codes", {}, N_ROWS), Manifest("hidden", {}, N_ROWS)
    for index, (start, stop) in enumerate(shard_ranges(N_ROWS, 600)):
        place = np.arange(start, stop)
        counts = place % 3
        per_position = np.repeat(place, counts)
        active = per_position % 2
        latents = (per_position % 50)[active == 1]
        arrays = codes_arrays(
            np.concatenate([[0], np.cumsum(active)]),
            latents,
            per_position[active == 1] + np.float32(0.5),
            np.concatenate([[0], np.cumsum(counts)]),
            50,
        )
        codes.add(write_shard(folder / "layer_0" / "50", index, (start, stop), arrays))
        pooled = np.stack([place, -place], axis=1).astype(np.float32)
        arrays = {"pooled_last": pooled, "pooled_mean": pooled / 2}
        hidden.add(write_shard(folder / "layer_0" / "hidden", index, (start, stop), arrays))
    codes.save(folder / "layer_0" / "50")
    hidden.save(folder / "layer_0" / "hidden")
    return folder


def test_codes_equal_those_of_a_full_read(split: Path) -> None:
    everything = list(iter_codes(split / "layer_0" / "50"))
    found = read_codes_rows(split / "layer_0" / "50", REQUESTED)
    assert found.n_rows == len(REQUESTED)
    dense = found.to_csr().toarray()
    for i, row in enumerate(REQUESTED):
        place = row // 2
        shard = next(s for s in everything if s.start <= place < s.start + s.n_rows)
        here = slice(*shard.offsets[place - shard.start :][:2])
        np.testing.assert_array_equal(
            dense[found.offsets[i] : found.offsets[i + 1]], shard.to_csr()[here].toarray(), err_msg=str(row)
        )
    assert (dense > 0).any()


def test_hidden_states_equal_those_of_a_full_read(split: Path) -> None:
    for how in ("last", "mean"):
        everything = read_pooled_hidden(split / "layer_0" / "hidden", how)
        np.testing.assert_array_equal(
            read_hidden_rows(split / "layer_0" / "hidden", REQUESTED, how), everything[[row // 2 for row in REQUESTED]]
        )


def test_samples_are_in_the_requested_order(split: Path) -> None:
    table = read_sample_rows(split, REQUESTED, ["text", "row"])
    assert table["row"].to_pylist() == REQUESTED
    assert table["text"].to_pylist() == [f"text {row // 2}" for row in REQUESTED]


@pytest.mark.parametrize("row", [0, 2, 4201, -1])
def test_row_that_was_not_sampled_is_an_error(split: Path, row: int) -> None:
    for read in (
        lambda: read_sample_rows(split, [1, row], ["text"]),
        lambda: read_codes_rows(split / "layer_0" / "50", [1, row]),
        lambda: read_hidden_rows(split / "layer_0" / "hidden", [1, row], "mean"),
    ):
        with pytest.raises(StoreError, match=f"has no row {row}"):
            read()


def test_missing_files_columns_and_shards_are_errors(split: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        read_sample_rows(tmp_path, [1], ["text"])
    with pytest.raises(StoreError, match="no column 'colour'"):
        read_sample_rows(split, [1], ["colour"])
    with pytest.raises(StoreError, match="lacks 2 of the 2 requested rows"):
        read_codes_rows(split / "layer_0" / "51", [1, 3])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", None])
def test_damaged_shard_affects_only_its_own_rows(split: Path, tmp_path: Path, content: bytes | None) -> None:
    import shutil

    copied = shutil.copytree(split, tmp_path / "split")
    second = copied / "layer_0" / "50" / "shard-00001.npz"
    second.unlink() if content is None else second.write_bytes(content)
    assert read_codes_rows(second.parent, [1, 4199]).n_rows == 2
    with pytest.raises(StoreError, match=r"shard-00001\.npz cannot be read"):
        read_codes_rows(second.parent, [2 * 700 + 1])
