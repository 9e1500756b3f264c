"""Checks of `saefari transfer`: features, classes, folders, and earlier transfers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from saefari.store import read_result, read_samples

from ..transfer_runs import SETTINGS, Run, edit, fair_rows, transfer, tree


def test_results_are_reused_and_other_settings_need_overwrite(
    runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    named = train.results("layer_1", "64"), test.results("layer_1", "64")
    assert transfer(*named) == 0
    before = tree(test.root)
    assert transfer(*named) == 0
    assert tree(test.root) == before
    assert "6 settings reused" in capsys.readouterr().out
    assert transfer(*named, "--rows", "all") == 1
    message = capsys.readouterr().err
    assert "rows: 'test' -> 'all'" in message
    assert "--overwrite" in message
    assert tree(test.root) == before
    assert transfer(*named, "--rows", "all", "--overwrite") == 0
    assert read_result(test.transferred(train, "layer_1", "64", SETTINGS[0]))["n_test"] > 100


def test_a_dry_run_prints_the_planned_work_and_writes_nothing(
    runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    before = tree(test.root)
    assert transfer(train.results("layer_1", "64"), test.results("layer_1", "64"), "--dry-run") == 0
    assert tree(test.root) == before
    assert f"{len(fair_rows(train, test))} test rows" in capsys.readouterr().out


def relabel(run: Run, names: dict[str, str]) -> None:
    """Classify the same texts with other classes."""
    path = run.root / "texts.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for i, row in enumerate(rows):
        row["label"] = names["rest"] if "rest" in names and i % 4 == 0 else names[row["label"]]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert run.changed() == 0


def test_other_classes_need_a_map(runs: tuple[Run, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, test = runs
    relabel(test, {"odd": "yes", "even": "0", "rest": "other"})
    named = train.results("layer_1", "64"), test.results("layer_1", "64")
    for flags, words in (
        ((), ("'even', 'odd'", "'0', 'other', 'yes'", "--map")),
        (("--map", '{"yes": "od", "0": "even", "other": null}'), ("'od'", "did you mean 'odd'?")),
        (("--map", '{"yes": "odd", "zero": "even", "other": null}'), ("does not know '0'", "'zero'")),
        (("--map", '{"yes": null, "0": null, "other": null}'), ("no row is left to test on",)),
    ):
        assert transfer(*named, *flags) == 1
        message = capsys.readouterr().err
        assert all(word in message for word in words), message
    (tmp_path / "map.yaml").write_text("yes: odd\n0: even\nother:\n")
    assert transfer(*named, "--map", str(tmp_path / "map.yaml")) == 0
    folder = test.transferred(train, "layer_1", "64", SETTINGS[0])
    result = read_result(folder)
    labels = read_samples(test.samples, ["row", "label"]).to_pydict()
    by_row = dict(zip(labels["row"], labels["label"], strict=True))
    table = pq.read_table(folder / "predictions.parquet", columns=["row", "label"]).to_pydict()
    assert {(by_row[row], label) for row, label in zip(table["row"], table["label"], strict=True)} == {
        ("yes", "odd"),
        ("0", "even"),
    }
    places = fair_rows(train, test)
    n_other = sum(labels["label"][i] == "other" for i in places)
    assert n_other > 0
    assert result["transfer"]["rows_left_out"]["unmapped"] == n_other
    assert f"{n_other} rows left out, because 'other' map to null" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[1, 2]", "{a: [b]}", "{a: b, a: c}", "{"])
def test_an_invalid_map_is_an_error(
    runs: tuple[Run, Run], tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.yaml").write_text(text)
    named = [run.results("layer_1", "64") for run in runs]
    for given in (str(tmp_path / "map.yaml"), str(tmp_path / "none.yaml")):
        assert transfer(*named, "--map", given) == 2
        assert "--map" in capsys.readouterr().err


def test_different_features_are_an_error(runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]) -> None:
    train, test = runs
    for one, other, words in (
        (("layer_1", "64"), ("layer_1", "hidden"), ("features: sae / hidden",)),
        (("layer_1", "hidden"), ("layer_1", "hidden"), ("weights of the model",)),
        (("layer_1", "64-random"), ("layer_1", "64-random"), ("model they were calibrated on",)),
        (("layer_1", "64"), ("layer_1", "64-random"), ("features: sae / random_sae",)),
        (("tfidf",), ("layer_1", "64"), ("features: tfidf / sae",)),
    ):
        assert transfer(train.results(*one), test.results(*other)) == 1
        message = capsys.readouterr().err
        assert "the features of the two runs differ" in message
        assert all(word in message for word in words), message
        assert "Traceback" not in message
    for fact, value in (("weights_sha256", "0" * 64), ("hook", "blocks.2.hook_resid_post"), ("center", True)):
        path = test.features / "manifest.json"
        before = path.read_text()
        edit(path, lambda record, fact=fact, value=value: record["facts"].update({fact: value}))
        assert transfer(train.results("layer_1", "64"), test.results("layer_1", "64")) == 1
        message = capsys.readouterr().err
        assert str(value)[:12] in message
        path.write_text(before)
    assert list(test.layout.classifications.rglob("transfer")) == []


def test_training_rows_must_be_known(runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]) -> None:
    train, test = runs
    named = train.results("layer_1", "64"), test.results("layer_1", "64")
    moved = train.root / "moved"
    train.layout.activations.rename(moved)
    assert transfer(*named) == 1
    assert "--train-activations" in capsys.readouterr().err
    assert transfer(*named, "--train-activations", str(moved)) == 0
    path = next(moved.rglob("split.json"))
    edit(path, lambda record: record.update(settings={}))
    table = pq.read_table(path.with_suffix(".parquet"))
    pq.write_table(table, path.with_suffix(".parquet"), compression="none")  # another digest, another split
    assert transfer(*named, "--train-activations", str(moved), "--overwrite") == 1
    assert "training rows are unknown" in capsys.readouterr().err


def test_a_folder_without_a_run_is_an_error(
    runs: tuple[Run, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    good = test.results("layer_1", "64")
    assert transfer(train.results("layer_1", "64"), good) == 0
    copied = shutil.copytree(train.results("layer_1", "64", SETTINGS[0]), tmp_path / "copied" / SETTINGS[0])
    for wrong, word in (
        (tmp_path / "nowhere", "is not a folder"),
        (train.root, "has no results"),
        (copied, "was moved: by its record it belongs at"),
        (train.features, "features alone have no classifiers"),
        (test.transferred(train, "layer_1", "64"), "is itself a transfer"),
    ):
        capsys.readouterr()
        assert transfer(wrong, good) == 2
        message = capsys.readouterr().err
        assert "--train" in message
        assert word in message
    edit(min(good.glob("*/results.json")), lambda record: record.update(settings={}))
    assert transfer(train.results("layer_1", "64"), good) == 1
    assert "does not record its inputs" in capsys.readouterr().err
