"""`saefari import-mosaic`: runs of the same setting, and early and late file formats."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saefari.pipeline.commands.cli import main
from saefari.store import read_summary
from tests.store.mosaic_tree import early_document, mosaic_document, with_bag_of_words, write_document

SAE, HIDDEN, EARLY = "sae_classifier_results.json", "hidden_classifier_results.json", "classifier_results.json"
TIMES = ("20250115_100000", "20250116_100000")
MODEL, DATASET = "google_gemma-2-2b", "example_harbour_notices"


def document(hidden: bool = False, **args: Any) -> dict[str, Any]:
    return mosaic_document(hidden=hidden, dataset_name="example/harbour_notices", text_field="text", **args)


def place(root: Path, time: str, name: str = SAE, dataset: str = DATASET) -> Path:
    return root / "theirs" / MODEL / dataset / "layer_12" / "16k" / time / name


def imported(root: Path) -> pd.DataFrame:
    """Rows of the linear probes after a successful import."""
    assert main(["import-mosaic", str(root / "theirs"), "--output-dir", str(root / "out")]) == 0
    table = read_summary(root / "out" / "classifications" / "summary.csv")
    return table[table.classifier == "linear"]


def records(root: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((root / "out").rglob("results.json"))]


@pytest.mark.parametrize(
    ("name", "usual", "other"),
    [
        (SAE, {"test_size": 0.2}, {"test_size": 0.4}),
        (SAE, {"text_field": "text"}, {"text_field": "translation"}),
        (SAE, {"label_field": "label"}, {"label_field": "mood"}),
        (SAE, {"all_tokens": False}, {"all_tokens": True}),
        (SAE, {"last_token": False}, {"last_token": True}),
        (SAE, {"random_state": 42}, {"random_state": 7}),
        (SAE, {"tree_depth": 5}, {"tree_depth": 9}),
        (SAE, {"sae_location": "res"}, {"sae_location": "mlp"}),
        (SAE, {"dataset_config_name": None}, {"dataset_config_name": "english"}),
        (HIDDEN, {"top_n": 0}, {"top_n": 20}),
        (HIDDEN, {"binarize_value": None}, {"binarize_value": "1.0"}),
        (HIDDEN, {"last_token": False}, {"last_token": True}),
    ],
)
def test_runs_that_differ_in_a_setting_are_two_results(
    tmp_path: Path, name: str, usual: dict[str, Any], other: dict[str, Any]
) -> None:
    for time, args in zip(TIMES, (usual, other), strict=True):
        one = mosaic_document(name == HIDDEN, **({"text_field": "text"} | args))
        write_document(place(tmp_path, time, name), one)
    rows = imported(tmp_path)
    assert len(rows) == 2
    identifying = ["config", "text_field", "pooling", "top_n", "binarize", "variant"]
    assert len(rows[identifying].drop_duplicates()) == 2  # and the table tells them apart
    assert "" in set(rows.variant)


def test_runs_of_one_setting_are_one_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for time in TIMES:
        write_document(place(tmp_path, time), document())
    assert len(imported(tmp_path)) == 1
    assert "1 result imported, 1 repeated run skipped" in capsys.readouterr().out


def test_unusual_settings_are_part_of_the_folder_name(tmp_path: Path) -> None:
    args = {"test_size": 0.4, "text_field": "a/b c", "all_tokens": True}
    write_document(place(tmp_path, TIMES[0]), document() | mosaic_document(**args))
    (folder,) = imported(tmp_path).folder
    assert folder.split("/")[-1].startswith("sum_top0_bin-none_text_field-a-b-c-")
    assert folder.endswith("_test_size-0.4_all_tokens-True")


@pytest.mark.parametrize("spelt", [None, "", "None"])
def test_spellings_of_a_dataset_without_configuration(
    tmp_path: Path, spelt: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_document(place(tmp_path, TIMES[0]), document(dataset_config_name=spelt))
    assert set(imported(tmp_path).config) == {""}
    assert "unreadable values" not in capsys.readouterr().out


def test_the_bag_of_words_baseline_is_a_separate_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of one dataset repeat it; another test size or text column gives another baseline."""
    for number, args in enumerate([{}, {"top_n": 20}, {"test_size": 0.4}, {"text_field": "translation"}]):
        f1 = 0.86 if number < 2 else 0.7
        one = with_bag_of_words(mosaic_document(**({"text_field": "text"} | args)), f1)
        write_document(place(tmp_path, f"2025011{number}_100000"), one)
    rows = imported(tmp_path)
    words = rows[rows.source == "tfidf"].sort_values("folder")
    assert [(row.variant, row.text_field, row.macro_f1) for row in words.itertuples()] == [
        ("", "text", 0.86),
        ("test_size 0.4", "text", 0.7),
        ("", "translation", 0.7),
    ]
    assert set(words.model) == {""}
    assert words[["macro_precision", "macro_recall", "accuracy", "roc_auc"]].iloc[0].tolist() == [0.86] * 3 + [0.93]
    assert words.folder.str.startswith("baselines/Anthropic--election_questions/test/tfidf/tfidf").all()
    record = next(one for one in records(tmp_path) if one["settings"]["source"] == "tfidf")
    assert record["classifiers"]["linear"]["roc"] == {"Harmless": {"fpr": [0.0, 0.2, 1.0], "tpr": [0.0, 0.9, 1.0]}}
    assert record["classifiers"]["linear"]["per_class"]["Harmful"]["f1"] == 0.86
    assert "0 repeated runs skipped" in capsys.readouterr().out
    assert len(imported(tmp_path)) == len(rows)


def test_a_baseline_of_several_classes_has_a_curve_each(tmp_path: Path) -> None:
    one = with_bag_of_words(document(classes=["a", "b", "c"]), 0.5)
    curve = one["bow_baseline"]["roc_curve"]
    one["bow_baseline"] |= {"roc_curve": dict.fromkeys(("a", "b", "c", "micro"), curve), "roc_auc": None}
    write_document(place(tmp_path, TIMES[0]), one)
    rows = imported(tmp_path)
    assert rows[rows.source == "tfidf"].roc_auc.iloc[0] == pytest.approx(0.85)


def test_an_early_file_takes_settings_from_its_folders(tmp_path: Path) -> None:
    early = tmp_path / "theirs" / "old" / MODEL / DATASET / "test" / "layer_12" / "16k" / EARLY
    write_document(early, early_document())
    (row,) = imported(tmp_path).itertuples()
    assert (row.model, row.layer, row.width, row.source) == ("google/gemma-2-2b", 12, "16k", "sae")
    assert (row.dataset, row.split, row.variant) == (DATASET, "test", "settings not recorded")
    assert pd.isna(row.top_n)
    (record,) = records(tmp_path)
    assert record["classes"] == ["Harmful", "Harmless"]
    assert any("early file" in warning for warning in record["warnings"])
    assert not any("Could not be read" in warning for warning in record["warnings"])


def test_an_early_file_takes_its_dataset_from_other_files(tmp_path: Path) -> None:
    early = tmp_path / "theirs" / MODEL / DATASET / "test" / "layer_12" / "16k" / EARLY
    write_document(early, early_document())
    write_document(place(tmp_path, TIMES[0]), document())
    assert set(imported(tmp_path).dataset) == {"example/harbour_notices"}


@pytest.mark.parametrize("folders", ["", f"{DATASET}/test/layer_12/16k", f"{MODEL}/{DATASET}/test/layer_5/16k"])
def test_an_early_file_elsewhere_is_an_error(tmp_path: Path, folders: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_document(tmp_path / "theirs" / folders / EARLY, early_document())
    assert main(["import-mosaic", str(tmp_path / "theirs"), "--output-dir", str(tmp_path / "out")]) == 1
    assert "metadata.dataset: missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "known"),
    [
        ({}, "gemma-2-2b/12-gemmascope-res-16k"),
        ({"width": "65k"}, "gemma-2-2b/12-gemmascope-res-65k"),
        ({"width": "17k"}, None),
        ({"model_name": "acme/unknown"}, None),
        ({"sae_location": "nowhere"}, None),
    ],
)
def test_latents_are_found_on_neuronpedia(tmp_path: Path, args: dict[str, Any], known: str | None) -> None:
    write_document(place(tmp_path, TIMES[0]), mosaic_document(**args))
    imported(tmp_path)
    (record,) = records(tmp_path)
    assert record["settings"]["neuronpedia"] == known


def test_two_datasets_with_the_same_short_name(tmp_path: Path) -> None:
    for owner in ("example", "other"):
        one = mosaic_document(dataset_name=f"{owner}/harbour_notices", dataset_config_name="english")
        write_document(place(tmp_path, TIMES[0], dataset=f"{owner}_harbour_notices"), copy.deepcopy(one))
    rows = imported(tmp_path)
    assert set(rows.dataset) == {"example/harbour_notices", "other/harbour_notices"}
    assert set(rows.config) == {"english"}


def test_an_import_of_an_earlier_version_is_moved(tmp_path: Path) -> None:
    write_document(place(tmp_path, TIMES[0]), document(test_size=0.4))
    (folder,) = imported(tmp_path).folder
    there = tmp_path / "out" / "classifications" / folder
    there.rename(there.with_name("sum_top0_bin-none"))
    assert list(imported(tmp_path).folder) == [folder]
