"""`saefari transfer`: classifiers of one run on the features of another model that shares the SAE."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import yaml
from scipy import sparse
from sklearn.metrics import f1_score

from app.shared.data.file_cache import FileCache
from app.shared.data.results import find_results
from saefari.classify.decisions import decide, load_classifier, stored_features
from saefari.errors import SaeError
from saefari.pipeline.commands.cli import run_experiments
from saefari.pipeline.live.predict import predict_text
from saefari.store import iter_codes, read_predictions, read_result, read_samples, read_split, read_summary

from ..tiny import tiny_settings
from ..transfer_runs import SETTINGS, Run, fair_rows, transfer, tree


def dense_features(run: Run, setting: str) -> np.ndarray:
    """[n_rows, 64], pooled in plain numpy from the stored shards."""
    rows = []
    for shard in iter_codes(run.features):
        codes = np.zeros((len(shard.indptr) - 1, 64), dtype=np.float32)
        for position in range(len(codes)):
            active = slice(shard.indptr[position], shard.indptr[position + 1])
            codes[position, shard.indices[active]] = shard.values[active]
        for start, stop in zip(shard.offsets[:-1], shard.offsets[1:], strict=True):
            rows.append(pooled(codes[start:stop], setting))
    return np.stack(rows)


def pooled(codes: np.ndarray, setting: str) -> np.ndarray:
    if len(codes) == 0:
        return np.zeros(64, dtype=np.float32)
    if setting == "sum_top0_bin-none":
        return codes.sum(axis=0)
    if setting == "max_top0_bin-0.5":
        return (codes.max(axis=0) > 0.5).astype(np.float32)
    counts = np.zeros(64, dtype=np.float32)
    for position in codes:
        for latent in np.argsort(-position, kind="stable")[:3]:
            counts[latent] += position[latent] > 0
    return counts


@pytest.mark.parametrize("forth", [True, False], ids=["forth", "back"])
def test_transfer_applies_the_stored_probe_to_the_other_features(runs: tuple[Run, Run], forth: bool) -> None:
    train, test = runs if forth else runs[::-1]
    assert transfer(train.results("layer_1", "64"), test.results("layer_1", "64")) == 0
    places = fair_rows(train, test)
    labels = np.asarray(read_samples(test.samples, ["label"])["label"].to_pylist(), dtype=object)[places]
    for setting in SETTINGS:
        folder = test.transferred(train, "layer_1", "64", setting)
        result = read_result(folder)
        features = sparse.csr_array(dense_features(test, setting)[places])
        for name in ("linear", "tree"):
            path = train.results("layer_1", "64", setting) / f"{name}.skops"
            estimator = skops.io.load(path, trusted=["sklearn.tree._tree.Tree"])
            predicted = np.asarray(["even", "odd"], dtype=object)[estimator.predict(features)]
            assert result["classifiers"][name]["macro_f1"] == pytest.approx(
                f1_score(labels, predicted, average="macro")
            )
            stored = read_predictions(folder, name)
            np.testing.assert_array_equal(stored.predicted, predicted)
            np.testing.assert_array_equal(stored.labels, labels)
            np.testing.assert_allclose(stored.probabilities, estimator.predict_proba(features), atol=1e-5)
        assert result["n_test"] == len(places)


def test_rows_that_were_trained_on_are_left_out_and_counted(
    runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    n_test = int((read_split(test.samples) == 1).sum())
    n_left = n_test - len(fair_rows(train, test))
    assert n_left > 0  # short texts occur in both datasets
    assert transfer(train.results("layer_1", "64", SETTINGS[0]), test.results("layer_1", "64")) == 0
    result = read_result(test.transferred(train, "layer_1", "64", SETTINGS[0]))
    assert result["transfer"]["rows_left_out"] == {"trained_on": n_left, "unmapped": 0}
    assert f"{n_left} rows left out, because the classifiers were trained on them" in capsys.readouterr().out
    assert not test.transferred(train, "layer_1", "64", SETTINGS[1]).exists()  # one setting was given


def test_on_its_own_rows_a_run_gets_the_same_score(runs: tuple[Run, Run]) -> None:
    run, _ = runs
    source = run.results("layer_1", "64", SETTINGS[0])
    own = read_result(source)
    for which in ("test", "all"):
        assert transfer(source, source, "--rows", which, "--overwrite") == 0
        moved = read_result(run.transferred(run, "layer_1", "64", SETTINGS[0]))
        for name in ("linear", "tree"):
            assert moved["classifiers"][name]["confusion"] == own["classifiers"][name]["confusion"]
            assert moved["classifiers"][name]["macro_f1_interval"] == own["classifiers"][name]["macro_f1_interval"]
            assert moved["transfer"]["in_domain"][name]["macro_f1"] == own["classifiers"][name]["macro_f1"]
    assert moved["transfer"]["rows_left_out"]["trained_on"] == own["n_train"]


@pytest.mark.parametrize("source", ["tfidf", "majority"])
def test_texts_and_the_majority_class_need_no_features(runs: tuple[Run, Run], source: str) -> None:
    train, test = runs
    for named in (test.results(source), test.samples):
        assert transfer(train.results(source), named) == 0
    folder = test.transferred(train, source, source)
    result = read_result(folder)
    places = fair_rows(train, test)
    table = read_samples(test.samples, ["text", "label"]).to_pydict()
    labels = [table["label"][i] for i in places]
    seen = read_samples(train.samples, ["label"])["label"].to_pylist()
    ((guess, _),) = Counter(
        label for label, part in zip(seen, read_split(train.samples), strict=True) if part == 0
    ).most_common(1)
    floor = f1_score(labels, [guess] * len(labels), average="macro")
    assert result["transfer"]["majority"] == {"class": guess, "macro_f1": pytest.approx(floor)}
    if source == "majority":
        assert result["classifiers"]["majority"]["macro_f1"] == pytest.approx(floor)
    else:
        estimator = load_classifier(train.results("tfidf", "tfidf"), "linear").estimator
        predicted = np.asarray(["even", "odd"])[estimator.predict([table["text"][i] for i in places])]
        assert result["classifiers"]["linear"]["macro_f1"] == pytest.approx(
            f1_score(labels, predicted, average="macro")
        )


def test_transfer_results_are_readable_as_results(runs: tuple[Run, Run], save_tiny: Callable[..., Path]) -> None:
    train, test = runs
    assert transfer(train.results("layer_1", "64"), test.results("layer_1", "64")) == 0
    table = read_summary(test.layout.summary)
    moved, own = table[table["trained_on"] != ""], table[table["trained_on"] == ""]
    assert len(moved) == len(own[own["source"] == "sae"])
    assert set(moved["trained_on"]) == {
        train.results("layer_1", "64").relative_to(train.layout.classifications).as_posix()
    }
    assert moved["cv_macro_f1"].isna().all()  # so that nothing chooses by it
    results, folders, problems = find_results(test.layout, FileCache())
    assert problems == []
    assert (results["run"] != "").all()
    folder = test.transferred(train, "layer_1", "64", SETTINGS[0])
    assert folder in folders.values()
    stored = load_classifier(folder, "linear")
    predictions = read_predictions(folder, "linear")
    samples = test.layout.activations / stored.result["samples"][-1]
    first = decide(stored, stored_features(stored, samples, predictions.rows[:3]))
    for decision, probabilities in zip(first, predictions.probabilities, strict=False):
        np.testing.assert_allclose(decision.probabilities, probabilities, atol=1e-5)
    with pytest.raises(SaeError, match="is not below"):  # it gets as far as the SAE, which is elsewhere
        predict_text(test.layout, folder, "linear", "the cat", str(save_tiny("gpt2")))


def test_the_report_compares_with_in_domain_and_majority(
    runs: tuple[Run, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    out = tmp_path / "elsewhere"
    before = tree(test.root)
    assert transfer(train.results("layer_1", "64"), test.features, "--output-dir", str(out)) == 0
    assert tree(test.root) == before
    with (out / "reports" / "transfer.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * 2
    own = read_result(train.results("layer_1", "64", SETTINGS[0]))["classifiers"]
    for row in rows:
        if (row["pooling"], row["binarize"]) == ("sum", ""):
            assert float(row["in_domain_macro_f1"]) == own[row["classifier"]]["macro_f1"]
        assert (out / "classifications" / row["folder"] / "results.json").exists()
    printed = capsys.readouterr().out
    for word in ("trained on", "tested on", "in-domain", "majority", f"{own['linear']['macro_f1']:.3f}"):
        assert word in printed


def test_several_classes_can_map_to_one(runs: tuple[Run, Run]) -> None:
    train, test = runs
    assert transfer(*(run.results("layer_1", "64") for run in runs), "--map", '{"odd": "even"}') == 0
    scores = read_result(test.transferred(train, "layer_1", "64", SETTINGS[0]))["classifiers"]["linear"]
    assert scores["per_class"]["odd"]["support"] == 0
    assert scores["roc_auc"] is None  # one class has no ROC curve
    assert 0 < scores["accuracy"] < 1


def test_hidden_states_and_controls_of_the_same_model_match(runs: tuple[Run, Run]) -> None:
    train, _ = runs
    for width in ("hidden", "64-random"):
        assert transfer(train.results("layer_1", width), train.results("layer_1", width)) == 0
        setting = "mean" if width == "hidden" else SETTINGS[0]
        moved = read_result(train.transferred(train, "layer_1", width, setting))["classifiers"]
        own = read_result(train.results("layer_1", width, setting))["classifiers"]
        assert moved["linear"]["macro_f1"] == own["linear"]["macro_f1"]


def test_a_run_with_a_separate_test_split(
    transfer_runs: Path,
    tmp_path: Path,
    save_tiny: Callable[..., Path],
    write_texts: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(tmp_path / "both")
    (run.root / "data").mkdir(parents=True)
    for seed, split in ((5, "train"), (6, "test")):
        write_texts(run.root / "data" / f"{split}.jsonl", 120, seed=seed)
    raw = yaml.safe_load((transfer_runs / "two" / "conf.yaml").read_text())
    raw["settings"] = tiny_settings(run.root, positions="tokens")
    raw["datasets"] = [{"name": str(run.root / "data"), "test_split": "test", "text_field": "text"}]
    (run.root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(run.root / "conf.yaml")]) == 0
    (source,) = run.layout.classifications.glob("*/*/train/layer_1/64")
    train = Run(transfer_runs / "one").results("layer_1", "64", SETTINGS[0])
    out = tmp_path / "out"
    assert transfer(train, source, "--output-dir", str(out)) == 0
    (folder,) = (path.parent for path in out.rglob("results.json"))
    result = read_result(folder)
    assert [place.rpartition("/")[2] for place in result["samples"]] == ["test"]
    rows = read_predictions(folder, "linear").rows
    assert result["n_test"] == len(rows) == 120 - result["transfer"]["rows_left_out"]["trained_on"]
    capsys.readouterr()
    assert transfer(train, source, "--output-dir", str(out), "--rows", "all") == 2
    named = capsys.readouterr().err.split(" or ")[-1].strip()
    assert transfer(train, Path(named), "--output-dir", str(tmp_path / "all"), "--rows", "all") == 0
    (folder,) = (path.parent for path in (tmp_path / "all").rglob("results.json"))
    np.testing.assert_array_equal(read_predictions(folder, "linear").rows, rows)
