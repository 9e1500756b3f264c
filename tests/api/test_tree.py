"""The table of results is summary.csv, the best result is chosen by cross-validation, codes are found by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import saefari
from saefari.errors import StoreError
from saefari.report.results.summary import best_settings, write_summary
from saefari.store import Layout, codes_folder, read_summary
from tests.app.small_results import summary_row, write_result

MODEL, DATASET = "models/tiny-bert", "texts.jsonl"
Written = Callable[..., saefari.Tree]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """written(*rows): a tree whose results have these differences from the smallest one, in their order."""

    def write(*rows: dict[str, Any]) -> saefari.Tree:
        for number, row in enumerate(rows):
            write_result(tmp_path, f"m/d/train/{number}", summary_row(**row))
        write_summary(Layout.below(tmp_path).summary)
        return saefari.open_tree(tmp_path)

    return write


def test_results_are_those_of_summary_csv(tree: saefari.Tree) -> None:
    table, path = tree.results(), Path("output/classifications/summary.csv")
    raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert list(table) == list(raw)
    assert len(table) == len(raw) == 13
    pd.testing.assert_frame_equal(table, read_summary(path)[list(raw)])
    for name in ("source", "classifier", "folder", "width"):
        assert table[name].tolist() == raw[name].tolist()
    assert ["" if pd.isna(layer) else str(layer) for layer in table["layer"]] == raw["layer"].tolist()
    np.testing.assert_array_equal(table["macro_f1"], raw["macro_f1"].astype(float))
    assert (table["top_n"].dtype, table["binarize"].dtype) == ("Int64", "float64")


def test_conditions_keep_the_rows_that_meet_all_of_them(tree: saefari.Tree) -> None:
    table = tree.results()
    expected = table[(table["source"] == "sae") & (table["top_n"] == 3)]
    pd.testing.assert_frame_equal(tree.results(source="sae", top_n=3), expected)
    assert len(expected) == 2
    pd.testing.assert_frame_equal(tree.results(layer=None), table[table["layer"].isna()])
    pd.testing.assert_frame_equal(tree.results(width=None), table[table["width"] == ""])
    pd.testing.assert_frame_equal(tree.results(width=64, layer="1"), table[table["width"] == "64"])
    pd.testing.assert_frame_equal(tree.results(), table)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"sourse": "sae"}, r"no column 'sourse' \(did you mean 'source'\?\); columns: model, .*folder"),
        ({"source": "tf-idf"}, r"no result has source='tf-idf' \(did you mean 'tfidf'\?\); values of source: .*sae"),
        ({"source": "sae", "layer": 2}, r"has source='sae', layer=2; values of layer among the other matches: 1$"),
        ({"source": "tfidf", "layer": 1}, r"values of layer among the other matches: none"),
    ],
)
def test_a_condition_that_no_row_meets_is_an_error(tree: saefari.Tree, where: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        tree.results(**where)


def test_best_is_what_the_run_prints_as_best(tree: saefari.Tree) -> None:
    rows = tree.results().astype(object).where(tree.results().notna(), None).to_dict("records")
    chosen = best_settings(rows)
    assert {row["source"] for row in chosen} == {"sae", "random_sae", "hidden", "tfidf", "majority"}
    for row in chosen:
        best = tree.best(source=row["source"])
        assert best.folder.relative_to(tree.layout.classifications).as_posix() == row["folder"]
        assert best.classifier == row["classifier"]


def test_best_never_looks_at_the_test_score(written: Written) -> None:
    tree = written(
        {"cv_macro_f1": 0.6, "macro_f1": 0.9, "top_n": 0},
        {"cv_macro_f1": 0.7, "macro_f1": 0.1, "top_n": 1},
        {"cv_macro_f1": 0.7, "macro_f1": 0.8, "top_n": 2},  # equal: the first is chosen
        {"cv_macro_f1": None, "macro_f1": 1.0, "top_n": 3},  # imported or transferred
    )
    assert tree.best().folder.name == "1"
    assert tree.best(top_n=2).folder.name == "2"
    with pytest.raises(StoreError, match=r"summary.csv: no matching result is cross-validated.*result\(folder"):
        tree.best(top_n=3)


def test_best_compares_no_scores_of_different_data(written: Written) -> None:
    tree = written({"dataset": "one"}, {"dataset": "two", "cv_macro_f1": 0.9}, {"dataset": "two", "split": "dev"})
    with pytest.raises(
        StoreError, match=r"3 dataset splits .*one/train, two/dev, two/train.*dataset=, config=, split="
    ):
        tree.best()
    with pytest.raises(StoreError, match="2 dataset splits"):
        tree.best(dataset="two")
    assert tree.best(dataset="one").folder.name == "0"
    assert tree.best(dataset="two", split="dev").folder.name == "2"


def test_a_result_is_named_by_its_row(tree: saefari.Tree) -> None:
    for row in tree.results().itertuples():
        result = tree.result(row.folder, row.classifier)
        assert result.folder == tree.layout.classifications / row.folder
        assert result.metrics["macro_f1"] == row.macro_f1
    with pytest.raises(StoreError, match=r"no result has folder='baselines.*tfidf/tfdf' \(did you mean 'baselines"):
        tree.result(tree.results(source="tfidf")["folder"].iloc[0].removesuffix("tfidf") + "tfdf")
    with pytest.raises(StoreError, match=r"classifier='forest'; values of classifier among the other matches: linear"):
        tree.result(tree.results(source="tfidf")["folder"].iloc[0], "forest")
    with pytest.raises(StoreError, match=r"no result has folder='\.\./activations'"):
        tree.result("../activations")


def test_codes_are_named_as_results_name_them(tree: saefari.Tree) -> None:
    row = tree.results(source="sae").iloc[0]
    codes = tree.codes(row.model, row.dataset, row.layer, row.width, rows=[8])
    by_folder = tree.codes("models--tiny-bert", "texts", 1, "64", split="train", rows=[8])
    np.testing.assert_array_equal(codes.matrix.toarray(), by_folder.matrix.toarray())
    assert codes_folder(tree.layout.samples("models--tiny-bert", "texts", None, "train"), 1, "64").is_dir()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "models/tiny-bart"}, r"model 'models--tiny-bart' does not exist \(did you mean 'models--tiny-bert'"),
        ({"dataset": "text.jsonl"}, r"dataset 'text' does not exist \(did you mean 'texts'\?\); found: texts"),
        ({"config": "en"}, r"config 'en' does not exist; found: train"),
        ({"split": "test"}, r"split 'test' does not exist; found: train"),
        ({"layer": 2}, r"layer 'layer_2' does not exist \(did you mean 'layer_1'\?\)"),
        ({"width": "hidden"}, r"width 'hidden' does not exist; found: 64, 64-random"),
        ({"split": ".."}, r"split '\.\.' does not exist"),
        ({"rows": [8, 100_000]}, r"has no row 100000"),
    ],
)
def test_missing_codes_are_an_error_with_the_way_out(tree: saefari.Tree, changes: dict[str, Any], message: str) -> None:
    given = {"model": MODEL, "dataset": DATASET, "layer": 1, "width": "64", "rows": [8]} | changes
    with pytest.raises(StoreError, match=message):
        tree.codes(**given)


def test_a_folder_that_is_not_an_output_tree(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere is not an output tree.*run_experiments.py` first"):
        saefari.open_tree(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"classifications is not an output tree: .*the folder that contains them"):
        saefari.open_tree(run_folder / "output" / "classifications")


def test_a_tree_without_results_yet(tmp_path: Path) -> None:
    (tmp_path / "activations").mkdir()
    with pytest.raises(StoreError, match=r"summary.csv does not exist: run `python run_experiments.py`"):
        saefari.open_tree(tmp_path).results()
