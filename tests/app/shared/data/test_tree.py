"""Index of the output tree: contents, problems and refresh."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.shared.data import tree as tree_module
from app.shared.data.results import read_record
from app.shared.data.tree import OutputTree
from app.shared.labels import sae_title
from saefari.errors import StoreError
from saefari.report.results.summary import write_summary
from saefari.store import Manifest, codes_arrays, write_json, write_shard
from tests.app import small_results
from tests.app.small_results import summary_row

CODES = "activations/m/d/train/layer_3/3k"


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "_MAX_AGE_SECONDS", -1)


def write_result(output: Path, folder: str, **changes: Any) -> Path:
    return small_results.write_result(output, folder, summary_row(**changes), classifiers={})


def write_codes(output: Path, folder: str = CODES) -> Path:
    place = output / folder
    arrays = codes_arrays(np.array([0, 1, 2]), np.array([0, 4]), np.array([1.0, 2.0]), np.array([0, 1, 2]), 8)
    manifest = Manifest("codes", {}, 2, {"d_sae": 8})
    place.mkdir(parents=True)
    manifest.add(write_shard(place, 0, (0, 2), arrays))
    manifest.save(place)
    return place


def test_summary_and_results_that_came_after_it_are_one_table(tmp_path: Path) -> None:
    first = write_result(tmp_path, "m/d/train/layer_3/3k/one")
    write_summary(tmp_path / "classifications" / "summary.csv")
    tree = OutputTree(tmp_path)
    assert list(tree.index().results.macro_f1) == [0.5]
    write_result(tmp_path, "m/d/train/layer_3/3k/two", macro_f1=0.7, top_n=20)
    write_result(tmp_path, "m/d/train/layer_3/3k/one", macro_f1=0.9)
    os.utime(first / "results.json", ns=(2**62, 2**62))
    table = tree.index().results
    assert sorted(table.macro_f1) == [0.7, 0.9]
    assert [str(kind) for kind in table.dtypes[["layer", "macro_f1"]]] == ["Int64", "float64"]
    assert {tree.index().folders[run].name for run in table.run} == {"one", "two"}


def test_the_summary_is_used_for_unchanged_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(tmp_path, "one")
    write_summary(tmp_path / "classifications" / "summary.csv")
    monkeypatch.setattr("app.shared.data.results.read_result", lambda folder: pytest.fail("read one by one"))
    assert len(OutputTree(tmp_path).index().results) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"summary": [{"mod', "is incomplete"),
        ("", "is incomplete"),
        ('{"foreign": {}}', "not what SAEfari writes"),
        ('{"summary": [{"model": 3}]}', "not what SAEfari writes"),
        ('{"summary": 5}', "not what SAEfari writes"),
        ("[1, 2] }", "cannot be read"),
    ],
)
def test_a_damaged_result_is_listed_and_others_still_load(tmp_path: Path, content: str, expected: str) -> None:
    write_result(tmp_path, "good")
    bad = tmp_path / "classifications" / "bad" / "results.json"
    bad.parent.mkdir()
    bad.write_text(content)
    index = OutputTree(tmp_path).index()
    assert len(index.results) == 1
    [(place, message)] = index.problems
    assert place == "classifications/bad/results.json"
    assert expected in message


def test_a_damaged_summary_is_listed_and_the_results_are_read_one_by_one(tmp_path: Path) -> None:
    write_result(tmp_path, "one")
    (tmp_path / "classifications" / "summary.csv").write_text("model,dataset\nm\n")
    index = OutputTree(tmp_path).index()
    assert len(index.results) == 1
    assert index.problems[0][0] == "classifications/summary.csv"


def test_a_summary_without_its_files_still_shows_but_does_not_link(tmp_path: Path) -> None:
    place = write_result(tmp_path, "one")
    write_summary(tmp_path / "classifications" / "summary.csv")
    (place / "results.json").unlink()
    index = OutputTree(tmp_path).index()
    assert list(index.results.run) == [""]
    assert index.folders == {}
    assert "are missing" in index.problems[0][1]


def test_code_sets_are_complete_partial_or_damaged(tmp_path: Path) -> None:
    folder = write_codes(tmp_path)
    tree = OutputTree(tmp_path)
    [one] = tree.index().code_sets.values()
    assert (one.model, one.dataset, one.layer, one.name, one.state) == ("m", "d/train", 3, "3k", "complete")
    assert one.samples == tmp_path / "activations/m/d/train"
    [sae] = tree.index().saes.values()
    assert (sae_title(sae), sae.d_sae, sae.code_sets) == ("m · layer 3 · 3k", 8, (one,))
    shard = folder / "shard-00000.npz"
    shard.write_bytes(shard.read_bytes()[:-5])
    assert next(iter(tree.index().code_sets.values())).state == "damaged"
    manifest = json.loads((folder / "manifest.json").read_text()) | {"n_rows": 5, "shards": []}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    one = next(iter(tree.index().code_sets.values()))
    assert (one.state, one.problem) == ("partial", "0 of 5 rows are done")


def test_invalid_manifests_and_quality_records_are_listed(tmp_path: Path) -> None:
    write_codes(tmp_path)
    for place in ("activations/elsewhere", "activations/m/d/train/layer_x/3k", "activations/m/d/train/layer_4/3k"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "manifest.json").write_text('{"what": 1, "shards": []}')
    (tmp_path / "saes" / "m").mkdir(parents=True)
    (tmp_path / "saes" / "m" / "quality.json").write_text("{}")
    index = OutputTree(tmp_path).index()
    assert len(index.code_sets) == 1
    assert len(index.problems) == 4


def test_a_missing_or_invalid_record_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist any more"):
        read_record(tmp_path)
    write_json(tmp_path / "results.json", {"summary": []})
    with pytest.raises(StoreError, match="classes, classifiers, settings missing"):
        read_record(tmp_path)


def test_pages_get_the_last_index_at_once_and_the_next_one_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_result(tmp_path, "one")
    tree = OutputTree(tmp_path)
    assert len(tree.index().results) == 1
    monkeypatch.setattr(tree_module, "_MAX_AGE_SECONDS", 3600)
    monkeypatch.setattr(tree_module, "_SECONDS_BETWEEN_SCANS", -1)
    write_result(tmp_path, "two", top_n=20)
    assert len(tree.index().results) == 1
    until = time.monotonic() + 30
    while len(tree.index().results) == 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(tree.index().results) == 2
