"""Classify jobs on a small tree: files, reuse, leakage, failures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from saefari.classify.estimator import load_estimator
from saefari.classify.features import binarize, pool_codes
from saefari.classify.job import n_settings
from saefari.classify.run import run_classify_job
from saefari.config import ClassificationParams
from saefari.store import read_result

from .conftest import FIRST_OWN, MakeJob, Rows, every_fifth_tests, make_rows, write_rows

BINARY = ClassificationParams(top_n_values=[0], binarize_values=[0.5])
EVERYTHING = ClassificationParams(
    top_n_values=[0, 2, -1], binarize_values=[None, 1.0], pooling=["sum", "mean", "max", "last"], select_k=[None, 8]
)


def without_timings(value: Any) -> Any:
    """results.json without the values that differ between two runs."""
    if isinstance(value, dict):
        return {k: without_timings(v) for k, v in value.items() if k not in ("seconds", "created")}
    return [without_timings(v) for v in value] if isinstance(value, list) else value


def test_every_setting_is_written_and_described(make_job: MakeJob) -> None:
    job = make_job(params=EVERYTHING)
    outcome = run_classify_job(job)
    assert outcome.failures == []
    assert n_settings(job) == 24
    assert len(outcome.rows) == 2 * 24
    assert len({(r["pooling"], r["top_n"], r["binarize"], r["select_k"], r["classifier"]) for r in outcome.rows}) == 48
    assert {r["pooling"] for r in outcome.rows if r["top_n"] != 0} == {"count"}
    assert all(r["n_features"] <= 8 for r in outcome.rows if r["select_k"] == 8)
    assert max(r["macro_f1"] for r in outcome.rows if r["classifier"] == "linear") > 0.9
    assert max(r["macro_f1"] for r in outcome.rows if r["classifier"] == "tree") > 0.6


@pytest.mark.parametrize("source", ["sae", "random_sae", "hidden", "tfidf", "majority"])
def test_results_hold_all_documented_keys(source: str, make_job: MakeJob) -> None:
    job = make_job(source, params=ClassificationParams(hidden_pooling=["mean"]))
    outcome = run_classify_job(job)
    assert outcome.failures == []
    folder = next(job.out.iterdir())
    result = read_result(folder)
    assert result["classes"] == [f"class {k:02d}" for k in range(4)]
    assert (result["n_train"], result["n_test"]) == (192, 48)
    names = ["majority"] if source == "majority" else ["linear", "tree"]
    assert list(result["classifiers"]) == names
    for name, row in zip(names, outcome.rows, strict=True):
        scores = result["classifiers"][name]
        assert (row["source"], row["classifier"]) == (source, name)
        assert row["macro_f1_low"] <= row["macro_f1"] <= row["macro_f1_high"]
        held = scores["cross_validation"]
        assert row["cv_macro_f1"] == held["macro_f1"] == pytest.approx(np.mean(held["folds"]))
        assert row["cv_accuracy"] == held["accuracy"] == pytest.approx(np.mean(held["accuracy_folds"]))
        assert np.sum(scores["confusion"]) == 48
        assert (folder / f"{name}.skops").exists()
        assert 0.2 < row["roc_auc"] <= 1
    if source == "majority":
        assert outcome.rows[0]["macro_f1"] == pytest.approx(0.1)
        assert outcome.rows[0]["cv_accuracy"] == pytest.approx(0.25)  # a quarter of every fold
    else:
        assert outcome.rows[0]["macro_f1"] > 0.8


def test_predictions_equal_those_of_the_saved_estimators(make_job: MakeJob) -> None:
    rows = make_rows(240, 4, seed=1)
    job = make_job(params=BINARY)
    run_classify_job(job)
    folder = job.out / "sum_top0_bin-0.5"
    features = binarize(pool_codes(rows.codes, rows.offsets, "sum"), 0.5)
    features = sparse.csr_array(
        (features.data, features.indices.astype(np.int32), features.indptr.astype(np.int32)), shape=features.shape
    )
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    assert table["id"] == [f"id{row}" for row in table["row"]]
    assert table["label"] == [rows.labels[row] for row in table["row"]]
    np.testing.assert_array_equal(table["row"], np.flatnonzero(every_fifth_tests(240, 4)))
    classes = read_result(folder)["classes"]
    for name in ("linear", "tree"):
        expected = load_estimator(folder / f"{name}.skops").predict_proba(features[table["row"]])
        stored = np.stack([table[f"{name}:{c}"] for c in classes], axis=1)
        np.testing.assert_allclose(stored, expected, atol=1e-6)
        assert table[f"predicted_{name}"] == [classes[k] for k in expected.argmax(axis=1)]


def test_the_recorded_tree_and_weights_equal_those_of_the_estimators(make_job: MakeJob) -> None:
    """Following the recorded nodes on raw features gives the tree's predictions."""
    rows = make_rows(240, 4, seed=1)
    job = make_job(params=ClassificationParams(select_k=[14]))
    run_classify_job(job)
    folder = job.out / "sum_top0_bin-none_k14"
    result = read_result(folder)
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    features = pool_codes(rows.codes, rows.offsets, "sum").toarray()
    nodes = result["classifiers"]["tree"]["nodes"]
    for row, predicted in zip(table["row"], table["predicted_tree"], strict=True):
        node = nodes[0]
        while "left" in node:
            goes_left = features[row, node["feature"]] <= node["threshold"]
            node = nodes[node["left"] if goes_left else node["right"]]
        assert result["classes"][int(np.argmax(node["distribution"]))] == predicted
    for k, name in enumerate(result["classes"]):
        top = result["classifiers"]["linear"]["top_features"][name][0]
        assert (top["feature"] - FIRST_OWN) // 3 == k
        assert top["direction"] == "for"
    for entry in result["classifiers"]["tree"]["top_features"]:
        k = (entry["feature"] - FIRST_OWN) // 3
        if 0 <= k < 4:
            own = result["classes"][k]
            assert entry["direction"][own] == "higher"


def test_a_finished_setting_is_reused(make_job: MakeJob) -> None:
    job = make_job()
    first = run_classify_job(job)
    again = run_classify_job(job)
    assert (first.reused, again.reused) == (0, 1)
    assert again.rows == first.rows


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"inputs": "other"},
        {"tree_depth": 2},
        {"cv_folds": 4},
        {"n_bootstrap": 300},
        {"params": ClassificationParams(class_weight="balanced")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_results_with_other_settings_are_not_reused(changes: dict[str, Any], make_job: MakeJob) -> None:
    run_classify_job(make_job())
    assert run_classify_job(make_job(**changes)).reused == 0


def test_a_setting_without_results_is_computed_again(make_job: MakeJob) -> None:
    job = make_job()
    run_classify_job(job)
    (job.out / "sum_top0_bin-none" / "results.json").unlink()
    assert run_classify_job(job).reused == 0
    (job.out / "sum_top0_bin-none" / "results.json").write_text("{")
    assert run_classify_job(job).reused == 0


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf"])
def test_two_runs_write_identical_files(source: str, make_job: MakeJob, tmp_path: Path) -> None:
    params = ClassificationParams(select_k=[10], hidden_pooling=["mean"])
    folders = []
    for place in ("one", "two"):
        job = make_job(source, params=params, out=tmp_path / place)
        run_classify_job(job)
        folders.append(next(job.out.iterdir()))
    for file in sorted(path.name for path in folders[0].iterdir()):
        if file == "results.json":
            one, two = (without_timings(json.loads((folder / file).read_text())) for folder in folders)
            assert one == two
        else:
            assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes(), file


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf"])
def test_test_rows_affect_only_the_test_scores(source: str, make_job: MakeJob, tmp_path: Path) -> None:
    """Corrupt every test row; estimators and cross-validation must not change."""
    parts = every_fifth_tests(240, 4)
    rows, noise = make_rows(240, 4, seed=1), np.random.default_rng(0)
    is_test = parts == 1
    values = rows.codes.toarray()
    in_test = np.repeat(is_test, np.diff(rows.offsets))
    values[in_test] = 50 * noise.random((int(in_test.sum()), values.shape[1]))
    poisoned = Rows(
        labels=rows.labels,
        texts=[f"poison{i} poison" if t else text for i, (text, t) in enumerate(zip(rows.texts, is_test, strict=True))],
        groups=rows.groups,
        codes=sparse.csr_array(values),
        offsets=rows.offsets,
        hidden=np.where(is_test[:, None], 100.0, rows.hidden).astype(np.float32),
    )
    write_rows(tmp_path / "poisoned", poisoned, parts)
    params = ClassificationParams(select_k=[10], hidden_pooling=["mean"], binarize_values=[0.5])
    results = []
    for samples in ({}, {"samples": tmp_path / "poisoned"}):
        job = make_job(source, params=params, out=tmp_path / f"out{len(results)}", **samples)
        run_classify_job(job)
        results.append(next(job.out.iterdir()))
    for name in ("linear", "tree"):
        clean, bad = ((folder / f"{name}.skops").read_bytes() for folder in results)
        assert clean == bad
        clean_scores, bad_scores = (read_result(folder)["classifiers"][name] for folder in results)
        assert clean_scores["candidates"] == bad_scores["candidates"]
        assert clean_scores["confusion"] != bad_scores["confusion"]


def test_a_setting_that_fails_stops_no_other(make_job: MakeJob) -> None:
    params = ClassificationParams(top_n_values=[0], binarize_values=[1e9, 0.5])
    outcome = run_classify_job(make_job(params=params))
    assert [row["binarize"] for row in outcome.rows] == [0.5, 0.5]
    (failure,) = outcome.failures
    assert "sum_top0_bin-1e+09" in failure.setting
    assert "no feature varies" in failure.reason


def test_missing_codes_are_a_failure_that_says_what_to_run(make_job: MakeJob) -> None:
    outcome = run_classify_job(make_job(features="layer_9/3k"))
    assert outcome.rows == []
    assert "--extract-only" in outcome.failures[0].reason


def test_codes_of_other_rows_are_an_error(make_job: MakeJob, tree: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "fewer", make_rows(200, 4, seed=1), every_fifth_tests(200, 4))
    (tmp_path / "fewer" / "layer_3").rename(tmp_path / "moved")
    write_rows(tmp_path / "all", make_rows(240, 4, seed=1), every_fifth_tests(240, 4))
    (tmp_path / "all" / "layer_3").rename(tmp_path / "unused")
    (tmp_path / "moved").rename(tmp_path / "all" / "layer_3")
    outcome = run_classify_job(make_job(samples=tmp_path / "all"))
    assert "200 rows" in outcome.failures[0].reason


def test_small_classes_are_left_out_with_a_warning(make_job: MakeJob, tmp_path: Path) -> None:
    rows = make_rows(240, 4, seed=1)
    labels: list[str | None] = ["rare" if i in (1, 2, 5) else label for i, label in enumerate(rows.labels)]
    labels[9] = None
    parts = every_fifth_tests(240, 4)
    parts[9] = -1
    relabelled = Rows(labels, rows.texts, rows.groups, rows.codes, rows.offsets, rows.hidden)
    write_rows(tmp_path / "small", relabelled, parts)
    job = make_job(samples=tmp_path / "small")
    outcome = run_classify_job(job)
    (warning,) = outcome.warnings
    assert "1 classes with 3 rows are left out: 'rare' (1 training rows for 3 folds)" in warning
    assert "rare" not in read_result(job.out / "sum_top0_bin-none")["classes"]
    assert run_classify_job(job).warnings == [warning]  # also when nothing is computed again


def test_one_class_fails_with_a_reason(make_job: MakeJob, tmp_path: Path) -> None:
    rows = make_rows(60, 1, seed=1)
    write_rows(tmp_path / "one", rows, every_fifth_tests(60, 1))
    outcome = run_classify_job(make_job(samples=tmp_path / "one"))
    assert "two labels are needed" in outcome.failures[0].reason


@pytest.mark.parametrize("source", ["sae", "tfidf", "majority"])
def test_one_group_of_training_rows_fails_with_a_reason(source: str, make_job: MakeJob, tmp_path: Path) -> None:
    parts, rows = every_fifth_tests(240, 4), make_rows(240, 4, seed=1)
    groups: list[str | None] = ["test" if part else "train" for part in parts]
    write_rows(tmp_path / "grouped", replace(rows, groups=groups), parts)
    outcome = run_classify_job(make_job(source, samples=tmp_path / "grouped"))
    assert (
        "the 192 training rows cannot be cross-validated: all share one text, image or group"
        in outcome.failures[0].reason
    )


def test_fewer_groups_than_folds_still_cross_validate(make_job: MakeJob, tmp_path: Path) -> None:
    parts, rows = every_fifth_tests(240, 4), make_rows(240, 4, seed=1)
    groups: list[str | None] = ["test" if part else f"half {i % 4 // 2}" for i, part in enumerate(parts)]
    write_rows(tmp_path / "grouped", replace(rows, groups=groups), parts)
    assert run_classify_job(make_job(samples=tmp_path / "grouped")).failures == []


def test_separate_test_split(make_job: MakeJob, tmp_path: Path) -> None:
    write_rows(tmp_path / "train", make_rows(240, 4, seed=1), np.zeros(240, dtype=np.int8))
    write_rows(tmp_path / "test", make_rows(40, 4, seed=2), np.ones(40, dtype=np.int8))
    job = make_job(samples=tmp_path / "train", test_samples=tmp_path / "test")
    outcome = run_classify_job(job)
    assert outcome.failures == []
    assert (outcome.rows[0]["n_train"], outcome.rows[0]["n_test"]) == (240, 40)
    assert outcome.rows[0]["macro_f1"] > 0.6
    table = pq.read_table(job.out / "sum_top0_bin-none" / "predictions.parquet")
    assert table["row"].to_pylist() == list(range(40))


def test_two_classes(make_job: MakeJob, tmp_path: Path) -> None:
    write_rows(tmp_path / "two", make_rows(120, 2, seed=1), every_fifth_tests(120, 2))
    job = make_job(samples=tmp_path / "two")
    outcome = run_classify_job(job)
    assert outcome.failures == []
    result = read_result(job.out / "sum_top0_bin-none")
    linear = result["classifiers"]["linear"]
    assert list(linear["roc"]) == ["class 01"]
    first, second = (linear["top_features"][name][0] for name in result["classes"])
    assert first["weight"] == -second["weight"]
