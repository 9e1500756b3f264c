"""Codes of rows are the stored ones, and each position names its token or patch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import saefari
from saefari.api.codes import read_codes
from saefari.errors import StoreError
from saefari.store import Manifest, iter_codes, read_codes_rows, read_samples, write_shard
from tests.app.latent_tree import write_codes

DENSE = np.asarray([[0, 2, 0], [1, 0, 3], [0, 0, 0], [4, 5, 5], [0, 0, 6]], dtype=np.float32)


def test_all_codes_are_those_that_the_store_verifies(tree: saefari.Tree) -> None:
    result = tree.best(source="sae")
    codes = result.codes()
    folder = tree.layout.activations / result.record["samples"][-1] / result.record["features"]
    (shard,) = iter_codes(folder)
    np.testing.assert_array_equal(codes.matrix.toarray(), shard.to_csr().toarray())
    np.testing.assert_array_equal(codes.offsets, shard.offsets)
    assert codes.matrix.dtype == np.float32
    assert codes.matrix.nnz > 0
    stored = read_samples(folder.parents[1], ["row", "text"]).to_pydict()
    assert codes.rows.tolist() == stored["row"]
    assert len(codes.positions) == codes.matrix.shape[0]
    for row, text in zip(stored["row"], stored["text"], strict=True):
        own = codes.positions[codes.positions["row"] == row]
        assert own["token"].tolist() == text.split()[: len(own)]
        assert own["position"].tolist() == list(range(len(own)))


def test_codes_of_rows_come_in_the_order_asked_for(tree: saefari.Tree) -> None:
    result = tree.best(source="sae")
    rows = result.predictions().index[[5, 0, 3]]
    codes = result.codes(rows)
    folder = tree.layout.activations / result.record["samples"][-1] / result.record["features"]
    expected = read_codes_rows(folder, rows.tolist())
    np.testing.assert_array_equal(codes.matrix.toarray(), expected.to_csr().toarray())
    assert codes.rows.tolist() == rows.tolist() == list(dict.fromkeys(codes.positions["row"]))
    texts = result.texts(rows)
    for i, row in enumerate(rows):
        own = codes.positions[codes.offsets[i] : codes.offsets[i + 1]]
        assert set(own["row"]) <= {row}
        assert own["token"].tolist() == texts[row].split()[: len(own)]


def test_known_codes_and_their_strongest_latents(tmp_path: Path) -> None:
    folder = write_codes(tmp_path, DENSE, lengths=[2, 0, 3], labels=["a", "b", "a"], shard_rows=2)
    codes = read_codes(folder, [20, 0])
    np.testing.assert_array_equal(codes.matrix.toarray(), DENSE[[2, 3, 4, 0, 1]])
    assert codes.offsets.tolist() == [0, 3, 5]
    assert codes.positions["token"].tolist() == ["w2_0", "w2_1", "w2_2", "w0_0", "w0_1"]
    assert not codes.positions["outlier"].any()
    assert "patch" not in codes.positions
    top = codes.top_latents(row=20, position=1)
    assert (top["latent"].tolist(), top["activation"].tolist()) == ([1, 2, 0], [5, 5, 4])
    assert codes.top_latents(row=0, position=1, n=1)["latent"].tolist() == [2]
    assert codes.top_latents(row=20, position=0).empty
    assert read_codes(folder).offsets.tolist() == [0, 2, 2, 5]
    with pytest.raises(StoreError, match=r"row 10 is not among the 2 rows that were read"):
        codes.top_latents(row=10, position=0)
    for position in (-1, 3):
        with pytest.raises(StoreError, match=rf"row 20 has no position {position}; it has 3, counted from 0"):
            codes.top_latents(row=20, position=position)


def test_outliers_are_marked(tmp_path: Path) -> None:
    folder = write_codes(tmp_path, DENSE, lengths=[2, 0, 3], labels=["a", "b", "a"], shard_rows=3)
    manifest = Manifest.load(folder)
    with np.load(folder / "shard-00000.npz") as stored:
        arrays = dict(stored)
    manifest.add(write_shard(folder, 0, (0, 3), arrays | {"outliers": np.asarray([2])}))
    manifest.save(folder)
    assert read_codes(folder).positions["outlier"].tolist() == [False, False, True, False, False]
    assert read_codes(folder, [20, 0]).positions["outlier"].tolist() == [True, False, False, False, False]


def test_codes_of_other_samples_are_refused(tmp_path: Path) -> None:
    folder = write_codes(tmp_path, DENSE, lengths=[2, 0, 3], labels=["a", "b", "a"], shard_rows=2)
    write_codes(tmp_path / "other", DENSE, lengths=[3, 0, 2], labels=["a", "b", "a"], shard_rows=2)
    other = tmp_path / "other" / folder.parents[1].relative_to(tmp_path) / "samples.parquet"
    (folder.parents[1] / "samples.parquet").write_bytes(other.read_bytes())
    with pytest.raises(StoreError, match="made from other samples"):
        read_codes(folder, [0])
