"""`saefari transfer`: classifiers of one run on the features of another model that shares the SAE."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import skops.io
import yaml
from scipy import sparse
from sklearn.metrics import f1_score

from app.data.memory import Memory
from app.data.results import find_results
from saefari.classify.inspect import decide, load_classifier, stored_features
from saefari.pipeline.cli import main, run_experiments
from saefari.pipeline.predict import predict_text
from saefari.store import Layout, read_predictions, read_result, read_samples, read_split, read_summary

from .tiny import tiny_settings

SETTINGS = ("sum_top0_bin-none", "max_top0_bin-0.5", "count_top3_bin-none")


@dataclass(frozen=True)
class Run:
    """An output tree with one model and one dataset."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout.below(self.root)

    @property
    def samples(self) -> Path:
        (found,) = (path.parent for path in self.layout.activations.rglob("samples.parquet"))
        return found

    @property
    def features(self) -> Path:
        return self.samples / "layer_1" / "64"

    def results(self, *parts: str) -> Path:
        """The folder of a feature source of the run itself."""
        base = self.samples.relative_to(self.layout.activations).parts
        source = ("baselines", *base[1:]) if parts[0] in ("tfidf", "majority") else base
        return self.layout.classifications.joinpath(*source, *parts)

    def transferred(self, train: Run, *parts: str) -> Path:
        """The folder that a transfer to this run fills."""
        base = train.samples.relative_to(train.layout.activations).parts
        if parts[0] in ("tfidf", "majority"):
            base = ("baselines", *base[1:])
        return self.results(*parts).parents[len(parts) - 1].joinpath("transfer", *base, *parts)

    def changed(self, **settings: Any) -> int:
        """Run its configuration again with other settings."""
        raw = yaml.safe_load((self.root / "conf.yaml").read_text())
        raw["settings"] |= settings
        (self.root / "conf.yaml").write_text(yaml.safe_dump(raw))
        return run_experiments(["--config", str(self.root / "conf.yaml"), "--overwrite"])


def make_run(root: Path, model: Path, sae: Path, seed: int, write_texts: Callable[..., Any]) -> Run:
    write_texts(root / "texts.jsonl", 260, seed=seed)
    raw = {
        "settings": tiny_settings(root, max_samples=240, positions="tokens"),  # so that a row's number is not its place
        "models": [{"name": str(model), "layers": [1], "widths": ["64"], "sae_path": str(sae), "random_sae": True}],
        "datasets": [{"name": str(root / "texts.jsonl"), "text_field": "text"}],
        "classification_params": {
            "top_n_values": [0, 3],
            "binarize_values": [None, 0.5],
            "pooling": ["sum", "max"],
            "hidden_pooling": ["mean"],
        },
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(root / "conf.yaml")]) == 0
    return Run(root)


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    save_tiny: Callable[..., Path],
    save_sae: Callable[..., Any],
    write_texts: Callable[..., Any],
) -> Path:
    """`one` (a Llama) and `two` (a GPT-2): two models, two datasets, one SAE."""
    root = tmp_path_factory.mktemp("runs")
    save_sae(root / "sae", "blocks.1.hook_resid_post", 32)
    for seed, (name, kind) in enumerate((("one", "llama"), ("two", "gpt2"))):
        (root / name).mkdir()
        make_run(root / name, save_tiny(kind), root / "sae", seed, write_texts)
    return root


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> tuple[Run, Run]:
    """Copies of both runs, free to be changed."""
    for name in ("one", "two"):
        shutil.copytree(made / name, tmp_path / name)
        conf = tmp_path / name / "conf.yaml"
        conf.write_text(conf.read_text().replace(str(made / name), str(tmp_path / name)))
    return Run(tmp_path / "one"), Run(tmp_path / "two")


def transfer(train: Path, test: Path, *flags: str) -> int:
    return main(["transfer", "--train", str(train), "--test", str(test), *flags])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def keys(texts: list[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def trained_texts(run: Run) -> set[str]:
    table = read_samples(run.samples, ["text"]).to_pydict()
    return {key for key, part in zip(keys(table["text"]), read_split(run.samples), strict=True) if part == 0}


def fair_rows(train: Run, test: Run) -> list[int]:
    """Places of the test rows whose text no training row has."""
    texts = keys(read_samples(test.samples, ["text"])["text"].to_pylist())
    seen = trained_texts(train)
    return [i for i in np.flatnonzero(read_split(test.samples) == 1).tolist() if texts[i] not in seen]


def dense_features(run: Run, setting: str) -> np.ndarray:
    """[n_rows, 64], pooled in plain numpy from the stored shards."""
    rows = []
    for path in sorted(run.features.glob("shard-*.npz")):
        shard = np.load(path)
        codes = np.zeros((len(shard["indptr"]) - 1, 64), dtype=np.float32)
        for position in range(len(codes)):
            active = slice(shard["indptr"][position], shard["indptr"][position + 1])
            codes[position, shard["indices"][active]] = shard["values"][active]
        for start, stop in zip(shard["offsets"][:-1], shard["offsets"][1:], strict=True):
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
def test_it_is_the_stored_probe_on_the_other_runs_features(runs: tuple[Run, Run], forth: bool) -> None:
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
    assert f"{n_left} rows left out: the classifiers were trained on them" in capsys.readouterr().out
    assert not test.transferred(train, "layer_1", "64", SETTINGS[1]).exists()  # one setting was named


def test_on_its_own_rows_a_run_repeats_its_score_and_never_counts_training_rows(runs: tuple[Run, Run]) -> None:
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


def test_everything_that_reads_results_reads_a_transfer(runs: tuple[Run, Run], save_tiny: Callable[..., Path]) -> None:
    train, test = runs
    assert transfer(train.results("layer_1", "64"), test.results("layer_1", "64")) == 0
    table = read_summary(test.layout.summary)
    moved, own = table[table["trained_on"] != ""], table[table["trained_on"] == ""]
    assert len(moved) == len(own[own["source"] == "sae"])
    assert set(moved["trained_on"]) == {
        train.results("layer_1", "64").relative_to(train.layout.classifications).as_posix()
    }
    assert moved["cv_macro_f1"].isna().all()  # so that nothing chooses by it
    results, folders, problems = find_results(test.layout, Memory())
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
    with pytest.raises(Exception, match="no SAE below"):  # it got as far as the SAE, which lies elsewhere
        predict_text(test.layout, folder, "linear", "the cat", str(save_tiny("gpt2")))


def test_the_report_compares_with_home_and_with_guessing(
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


def test_again_it_computes_nothing_and_other_settings_are_not_replaced_unasked(
    runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    named = train.results("layer_1", "64"), test.results("layer_1", "64")
    assert transfer(*named) == 0
    before = tree(test.root)
    assert transfer(*named) == 0
    assert tree(test.root) == before
    assert "6 settings were there already" in capsys.readouterr().out
    assert transfer(*named, "--rows", "all") == 1
    message = capsys.readouterr().err
    assert "rows: 'test' -> 'all'" in message
    assert "--overwrite" in message
    assert tree(test.root) == before
    assert transfer(*named, "--rows", "all", "--overwrite") == 0
    assert read_result(test.transferred(train, "layer_1", "64", SETTINGS[0]))["n_test"] > 100


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    before = tree(test.root)
    assert transfer(train.results("layer_1", "64"), test.results("layer_1", "64"), "--dry-run") == 0
    assert tree(test.root) == before
    assert f"{len(fair_rows(train, test))} test rows" in capsys.readouterr().out


def relabel(run: Run, names: dict[str, str]) -> None:
    """The same texts with other classes, classified anew."""
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
        (("--map", '{"yes": null, "0": null, "other": null}'), ("nothing is left",)),
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
    assert f"{n_other} rows left out: 'other' mapped to null" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[1, 2]", "{a: [b]}", "{a: b, a: c}", "{"])
def test_a_map_that_is_none_is_one_clear_error(
    runs: tuple[Run, Run], tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.yaml").write_text(text)
    named = [run.results("layer_1", "64") for run in runs]
    for given in (str(tmp_path / "map.yaml"), str(tmp_path / "none.yaml")):
        assert transfer(*named, "--map", given) == 2
        assert "--map" in capsys.readouterr().err


def test_several_classes_may_become_one(runs: tuple[Run, Run]) -> None:
    train, test = runs
    assert transfer(*(run.results("layer_1", "64") for run in runs), "--map", '{"odd": "even"}') == 0
    scores = read_result(test.transferred(train, "layer_1", "64", SETTINGS[0]))["classifiers"]["linear"]
    assert scores["per_class"]["odd"]["support"] == 0
    assert scores["roc_auc"] is None  # one class has no ROC curve
    assert 0 < scores["accuracy"] < 1


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_features_that_do_not_line_up_are_refused(runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]) -> None:
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
        assert "do not line up" in message
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


def test_hidden_states_and_controls_of_the_same_model_line_up(runs: tuple[Run, Run]) -> None:
    train, _ = runs
    for width in ("hidden", "64-random"):
        assert transfer(train.results("layer_1", width), train.results("layer_1", width)) == 0
        setting = "mean" if width == "hidden" else SETTINGS[0]
        moved = read_result(train.transferred(train, "layer_1", width, setting))["classifiers"]
        own = read_result(train.results("layer_1", width, setting))["classifiers"]
        assert moved["linear"]["macro_f1"] == own["linear"]["macro_f1"]


def test_what_a_run_was_trained_on_must_be_known(runs: tuple[Run, Run], capsys: pytest.CaptureFixture[str]) -> None:
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
    assert "not known which rows it was trained on" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_one_clear_error(
    runs: tuple[Run, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = runs
    good = test.results("layer_1", "64")
    assert transfer(train.results("layer_1", "64"), good) == 0
    copied = shutil.copytree(train.results("layer_1", "64", SETTINGS[0]), tmp_path / "copied" / SETTINGS[0])
    for wrong, word in (
        (tmp_path / "nowhere", "is no folder"),
        (train.root, "holds no results"),
        (copied, "does not lie where its record says"),
        (train.features, "features alone have no classifiers"),
        (test.transferred(train, "layer_1", "64"), "is itself a transfer"),
    ):
        capsys.readouterr()
        assert transfer(wrong, good) == 2
        message = capsys.readouterr().err
        assert "--train" in message
        assert word in message


def test_a_run_with_a_test_split_of_its_own(
    made: Path,
    tmp_path: Path,
    save_tiny: Callable[..., Path],
    write_texts: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(tmp_path / "both")
    (run.root / "data").mkdir(parents=True)
    for seed, split in ((5, "train"), (6, "test")):
        write_texts(run.root / "data" / f"{split}.jsonl", 120, seed=seed)
    raw = yaml.safe_load((made / "two" / "conf.yaml").read_text())
    raw["settings"] = tiny_settings(run.root, positions="tokens")
    raw["datasets"] = [{"name": str(run.root / "data"), "test_split": "test", "text_field": "text"}]
    (run.root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(run.root / "conf.yaml")]) == 0
    (source,) = run.layout.classifications.glob("*/*/train/layer_1/64")
    train = Run(made / "one").results("layer_1", "64", SETTINGS[0])
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
