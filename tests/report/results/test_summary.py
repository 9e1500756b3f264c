"""summary.csv and the table at the end of a run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from saefari.names import INTERVAL_METHOD
from saefari.report.results.summary import COLUMNS, best_settings, best_table, write_summary
from saefari.store import read_summary, write_json


def row(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model": "m", "model_type": "llm", "dataset": "d", "config": "", "split": "train", "layer": 3, "width": "3k",
        "source": "sae", "pooling": "sum", "top_n": 0, "binarize": None, "select_k": None, "classifier": "linear",
        "macro_f1": 0.5, "macro_f1_low": 0.4, "macro_f1_high": 0.6, "accuracy": 0.5, "roc_auc": 0.7,
        "cv_macro_f1": 0.5, "n_train": 80, "n_test": 20, "n_features": 60, "seconds": 1.0,
    }  # fmt: skip
    return fields | changes


def test_best_is_chosen_by_cross_validation_not_by_the_test_score() -> None:
    lucky = row(layer=1, cv_macro_f1=0.5, macro_f1=0.99)
    sound = row(layer=2, cv_macro_f1=0.6, macro_f1=0.55)
    assert best_settings([lucky, sound]) == [sound]
    assert best_settings([sound, lucky]) == [sound]
    assert "layer 2 3k" in best_table([lucky, sound])
    assert "0.990" not in best_table([lucky, sound])


def test_sources_models_and_datasets_are_not_compared_with_each_other() -> None:
    rows = [row(), row(source="hidden", width=None), row(model="n"), row(dataset="e"), row(config="c")]
    assert len(best_settings([*rows, *rows])) == 5


def test_text_of_the_table() -> None:
    rows = [
        row(binarize=1.0, select_k=100),
        row(source="majority", model="", layer=None, width=None, pooling="", top_n=None, classifier="majority"),
    ]
    lines = best_table(rows).splitlines()
    assert len(lines) == 5
    assert lines[-1] == f"95% interval: {INTERVAL_METHOD}"
    sae, majority = sorted(lines[2:4], key=lambda line: "majority" in line)
    assert sae.index("linear") == majority.rindex("majority") == lines[0].index("classifier")
    assert "sum, top-n 0, > 1, best 100" in sae
    assert "0.400-0.600" in sae


def test_the_summary_holds_every_result_in_a_fixed_order(tmp_path: Path) -> None:
    one, two = row(layer=10), row(layer=9, binarize=1.0)
    write_json(tmp_path / "a" / "results.json", {"summary": [one]})
    write_json(tmp_path / "b" / "x" / "results.json", {"summary": [two, row(layer=9)]})
    assert [r["layer"] for r in write_summary(tmp_path / "summary.csv")] == [9, 9, 10]
    text = (tmp_path / "summary.csv").read_text()
    with (tmp_path / "summary.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert tuple(written[0]) == COLUMNS
    assert [(r["layer"], r["binarize"]) for r in written] == [("9", ""), ("9", "1.0"), ("10", "")]
    assert [r["folder"] for r in written] == ["b/x", "b/x", "a"]
    write_summary(tmp_path / "summary.csv")
    assert (tmp_path / "summary.csv").read_text() == text


def test_a_tree_without_results_gives_a_header(tmp_path: Path) -> None:
    assert write_summary(tmp_path / "summary.csv") == []
    assert (tmp_path / "summary.csv").read_text().strip() == ",".join(COLUMNS)


def test_a_transfer_names_its_training_run_and_is_never_best(tmp_path: Path) -> None:
    moved = row(cv_macro_f1=None, macro_f1=0.99, trained_on="m/e/train/layer_3/3k")
    write_json(tmp_path / "a" / "results.json", {"summary": [moved]})
    write_json(tmp_path / "b" / "results.json", {"summary": [row()]})
    assert best_settings(write_summary(tmp_path / "summary.csv")) == [row() | {"folder": "b"}]
    assert read_summary(tmp_path / "summary.csv")["trained_on"].tolist() == ["", "m/e/train/layer_3/3k"]


def test_a_summary_of_an_older_version_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "b" / "results.json", {"summary": [row()]})
    write_summary(tmp_path / "summary.csv")
    lines = (tmp_path / "summary.csv").read_text().replace(",trained_on,", ",").replace(",,b", ",b")
    (tmp_path / "summary.csv").write_text(lines)
    assert read_summary(tmp_path / "summary.csv")["trained_on"].tolist() == [""]


def test_a_caution_adds_a_column() -> None:
    rows = [row(caution="the text gives the class away"), row(source="majority", classifier="majority")]
    head, _, *lines, interval = best_table(rows).splitlines()
    assert interval.startswith("95% interval: ")
    sae, majority = sorted(lines, key=lambda line: "majority" in line)
    assert head.endswith("caution")
    assert sae.endswith("  the text gives the class away")
    assert "the text" not in majority
    assert "caution" not in best_table([row()])


def test_one_split_read_from_two_columns_is_two_tasks() -> None:
    rows = [row(text_field="text"), row(text_field="translation", cv_macro_f1=0.9), row(dataset="e", text_field="text")]
    assert len(best_settings(rows)) == 3
    table = best_table(rows)
    assert "d/train (text) " in table
    assert "d/train (translation) " in table
    assert "e/train  " in table


def test_a_summary_of_an_older_version_is_read_and_written_again(tmp_path: Path) -> None:
    """It and its results lack the columns added later."""
    write_json(tmp_path / "a" / "results.json", {"summary": [row()]})
    write_summary(tmp_path / "summary.csv")
    table = read_summary(tmp_path / "summary.csv")
    newer = ["text_field", "variant", "caution", "macro_precision", "macro_recall", "cv_accuracy", "trained_on"]
    (tmp_path / "summary.csv").write_text(table.drop(columns=newer).to_csv(index=False))
    old = read_summary(tmp_path / "summary.csv")
    assert list(old.columns) == list(table.columns)
    assert (old.text_field[0], old.variant[0], old.caution[0]) == ("", "", "")
    assert old[["macro_precision", "macro_recall", "cv_accuracy"]].isna().all(axis=None)
