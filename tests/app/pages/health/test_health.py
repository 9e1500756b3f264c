"""Page Health: incomplete and altered files, warnings, and checks on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.pages.health.data.disk import disk_rows
from app.pages.health.data.state import (
    manifest_rows,
    split_states,
    warnings_of_manifests,
    warnings_of_results,
    warnings_of_splits,
)
from app.pages.health.parts import stepwise
from app.pages.health.parts.checks import check_result, verify_shard
from app.server import create_app
from app.shared.data.tree import OutputTree
from saefari.errors import StoreError
from saefari.store import (
    Failure,
    Manifest,
    SamplesWriter,
    codes_arrays,
    read_last_run,
    write_json,
    write_last_run,
    write_shard,
    write_split,
)
from tests.app import small_results
from tests.app.rendered import text

ROW = {"id": "0", "text": "a text", "label": "x", "group": None, "n_tokens": 1}


def write_codes(output: Path, dataset: str = "d/train", n_rows: int = 2) -> Path:
    """Write one shard of two rows, with rows and split."""
    samples = output / "activations" / "m" / dataset
    folder = samples / "layer_3" / "3k"
    folder.mkdir(parents=True)
    arrays = codes_arrays(np.array([0, 1, 2]), np.array([0, 1]), np.array([1.0, 2.0]), np.array([0, 1, 2]), 4)
    manifest = Manifest("codes", {}, n_rows, {"d_sae": 4}, warnings=["wrong hook"])
    manifest.add(write_shard(folder, 0, (0, 2), arrays))
    manifest.save(folder)
    with SamplesWriter(samples, {}) as writer:
        for row in range(2):
            writer.write({**ROW, "row": row, "input_ids": [1], "valid": [0], "span_start": [0], "span_end": [1]})
    write_split(samples, np.array([0, 1]), {}, ["1 row left out"])
    return folder


def write_result(output: Path, folder: str, **changes: Any) -> Path:
    """A result with its estimator."""
    place = small_results.write_result(output, folder, **changes)
    (place / "linear.skops").write_bytes(b"")
    return place


def test_incomplete_manifests_come_first(tmp_path: Path) -> None:
    write_codes(tmp_path, "a/train")
    write_codes(tmp_path, "b/train", n_rows=3)
    rows = manifest_rows(OutputTree(tmp_path).index().code_sets.values())
    assert [(row["place"], row["state"], row["rows_done"]) for row in rows] == [
        ("m/b/train/layer_3/3k", "partial", 2),
        ("m/a/train/layer_3/3k", "complete", 2),
    ]


def test_altered_rows_and_splits_are_detected(tmp_path: Path) -> None:
    samples = write_codes(tmp_path).parents[1]
    tree = OutputTree(tmp_path)
    [state] = split_states(tree.index(), tree.layout)
    assert (state.rows, state.split) == ("as recorded", "as recorded")
    assert state.counts == {"train": 1, "test": 1, "excluded": 0}
    with (samples / "samples.parquet").open("ab") as file:
        file.write(b"!")
    (samples / "split.json").unlink()
    [state] = split_states(tree.index(), tree.layout)
    assert (state.rows, state.split) == ("not as recorded", "missing")


def test_warnings_of_codes_splits_and_results_are_collected(tmp_path: Path) -> None:
    write_codes(tmp_path)
    for setting in ("one", "two"):
        write_result(tmp_path, f"m/d/train/layer_3/3k/{setting}", warnings=["2 classes left out"])
    tree = OutputTree(tmp_path)
    index = tree.index()
    assert [one.warning for one in warnings_of_manifests(index.code_sets.values())] == ["wrong hook"]
    assert [one.warning for one in warnings_of_splits(split_states(index, tree.layout))] == ["1 row left out"]
    [one] = warnings_of_results(index)
    assert (one.where, one.warning) == ("m/d/train/layer_3/3k", "2 classes left out")


def test_a_shard_is_verified_by_its_hash_and_not_by_its_size(tmp_path: Path) -> None:
    folder = write_codes(tmp_path)
    [codes] = OutputTree(tmp_path).index().code_sets.values()
    assert verify_shard(codes, "shard-00000.npz") == "as recorded"
    path = folder / "shard-00000.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert next(iter(OutputTree(tmp_path).index().code_sets.values())).state == "complete"
    assert verify_shard(codes, "shard-00000.npz") == "not as recorded"
    path.unlink()
    assert verify_shard(codes, "shard-00000.npz") == "missing"
    assert verify_shard(codes, "shard-00007.npz") == "not recorded"


def test_a_result_is_checked_for_its_content_and_its_estimators(tmp_path: Path) -> None:
    place = write_result(tmp_path, "one")
    assert check_result(place) == ""
    (place / "linear.skops").unlink()
    assert "linear" in check_result(place)
    for content in ({"foreign": 1}, [1]):
        (place / "results.json").write_text(json.dumps(content) + " ")
        assert "not what SAEfari writes" in check_result(place)


def test_disk_space_is_what_the_files_take(tmp_path: Path) -> None:
    folder = write_codes(tmp_path)
    place = write_result(tmp_path, "m/d/train/layer_3/3k/one")
    tree = OutputTree(tmp_path)
    sizes = {row["place"]: row["megabytes"] * 1e6 for row in disk_rows(tree.index(), tree.layout)}
    assert sizes["activations/m/d/train/layer_3/3k"] == pytest.approx((folder / "shard-00000.npz").stat().st_size)
    assert sizes["classifications/m/d/train/layer_3/3k"] == pytest.approx((place / "results.json").stat().st_size)
    assert sum(sizes.values()) < sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())


def test_the_last_run_is_read_as_a_run_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "last_run.json"
    assert read_last_run(path) is None
    failures = [Failure("job", "why", ("classify layer 3 3k", "classify tfidf"))]
    write_last_run(path, failures, ["w"])
    run = read_last_run(path)
    assert run is not None
    assert (run.failures, run.warnings) == (failures, ["w"])
    write_json(path, {"failures": [{"job": "job", "reason": "why"}], "warnings": []})  # as an older version wrote it
    run = read_last_run(path)
    assert run is not None
    assert run.failures == [Failure("job", "why")]
    for content in ('{"failures": [1], "warnings": []}', "[]"):
        path.write_text(content)
        with pytest.raises(StoreError, match="not a valid record of a run"):
            read_last_run(path)


def test_the_consequences_of_a_failure_are_shown(tmp_path: Path) -> None:
    write_codes(tmp_path)
    (tmp_path / "reports").mkdir()
    write_last_run(tmp_path / "reports" / "last_run.json", [Failure("job", "why", ("classify layer 3 3k",))], [])
    assert "why; not done because of this: classify layer 3 3k" in pages_text(tmp_path)


def test_a_long_check_continues_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def look(item: list[str]) -> tuple[dict[str, Any], bool]:
        checked.append(item[0])
        return {"item": item[0]}, item[0] != "b"

    check = stepwise.Check(lambda choice: [["a"], ["b"], ["c"]], look, [], show_all=False)
    monkeypatch.setitem(stepwise._CHECKS, "letters", check)
    times = iter(range(100))
    monkeypatch.setattr(stepwise.time, "monotonic", lambda: next(times) * 0.7)  # one check per step
    queue: dict[str, Any] = {"left": [["a"], ["b"], ["c"]], "total": 3, "wrong": 0}
    statuses = []
    while queue["left"]:
        queue, _, _, status, _, _ = stepwise.advance(check, queue)
        statuses.append(status)
    assert checked == ["a", "b", "c"]
    assert statuses == [
        "1 of 3 checked, all OK so far.",
        "2 of 3 checked, 1 with a problem.",
        "3 of 3 checked, 1 with a problem.",
    ]


def pages_text(output: Path) -> str:
    """The page with all its callbacks, as JSON text."""
    app = create_app(output)
    with app.server.app_context():
        from app.pages.health import page as health

        return text([health.layout(), *health._verify_rows(""), health._list_warnings("")])


def test_a_complete_tree_has_no_problems(tmp_path: Path) -> None:
    folder = write_codes(tmp_path)
    manifest = Manifest.load(folder)
    assert manifest is not None
    manifest.warnings = []
    manifest.save(folder)
    write_split(folder.parents[1], np.array([0, 1]), {}, [])
    assert "No problems found" in pages_text(tmp_path)


def test_problems_are_listed(tmp_path: Path) -> None:
    folder = write_codes(tmp_path)
    (folder / "shard-00000.npz").write_bytes(b"")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "last_run.json").write_text("{")
    text = pages_text(tmp_path)
    assert "Damaged manifests (rerun the same command to write their shards again): 1." in text
    assert "Files that cannot be read or were not written by SAEfari: 1." in text


def test_outliers_of_hidden_states_are_shown_with_their_manifest(tmp_path: Path) -> None:
    folder = write_codes(tmp_path)
    stats = {"empty_rows": 0, "positions": 400, "outliers": 12, "outlier_rows": 7}
    hidden = folder.parent / "hidden"
    manifest = Manifest("hidden", {"outlier_norm": 10.0}, 2, {"hook": "blocks.3.hook_resid_post"}, [], stats, ["many"])
    manifest.add(write_shard(hidden, 0, (0, 2), {"pooled_mean": np.zeros((2, 4), np.float32)}))
    manifest.save(hidden)
    code_sets = OutputTree(tmp_path).index().code_sets.values()
    rows = {row["kind"]: row for row in manifest_rows(code_sets)}
    assert (rows["hidden states"]["outliers"], rows["hidden states"]["outlier_rows"]) == (12, 7)
    assert (rows["codes"]["outliers"], rows["codes"]["outlier_rows"]) == (None, None)
    assert "many" in [one.warning for one in warnings_of_manifests(code_sets)]
