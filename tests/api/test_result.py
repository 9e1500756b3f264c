"""A result shows what its files hold: scores, features with explanations, predictions, texts and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import saefari
from saefari.classify.decisions import load_classifier
from saefari.errors import StoreError
from saefari.report.results.summary import write_summary
from saefari.store import Layout
from tests.app.latent_tree import write_codes
from tests.app.small_results import summary_row, write_result

from .conftest import EXPLANATION

PNG = b"\x89PNG"


def test_metrics_are_those_of_the_row(tree: saefari.Tree) -> None:
    for row in tree.results().to_dict("records"):
        metrics = tree.result(row["folder"], row["classifier"]).metrics
        assert {name: row[name] for name in metrics} == pytest.approx(metrics, nan_ok=True)
        assert metrics["macro_f1_low"] < metrics["macro_f1"] < metrics["macro_f1_high"]


def test_classes_and_settings(tree: saefari.Tree) -> None:
    result = tree.best(source="sae")
    assert result.classes == ["even", "odd"]
    assert result.settings["width"] == "64"
    assert result.settings == json.loads((result.folder / "results.json").read_text())["settings"]


def test_predictions_are_those_of_the_file(tree: saefari.Tree) -> None:
    result = tree.best(source="sae", classifier="linear")
    stored = pq.read_table(result.folder / "predictions.parquet").to_pydict()
    table = result.predictions()
    assert list(table) == ["id", "label", "predicted", "probability:even", "probability:odd"]
    assert table.index.tolist() == stored["row"]
    assert table["label"].tolist() == stored["label"]
    assert table["predicted"].tolist() == stored["predicted_linear"]
    np.testing.assert_array_equal(table["probability:odd"], stored["linear:odd"])
    assert (table["predicted"] == table["label"]).mean() == pytest.approx(result.metrics["accuracy"])


def test_texts_are_those_of_the_dataset(tree: saefari.Tree) -> None:
    lines = [json.loads(line) for line in Path("texts.jsonl").read_text().splitlines()]
    result = tree.best(source="tfidf")
    table = result.predictions()
    rows = table.index[::-1]
    texts = result.texts(rows)
    assert texts.index.equals(rows)
    assert texts.tolist() == [lines[row]["text"] for row in rows]
    assert table["label"].tolist() == [lines[row]["label"] for row in table.index]
    assert result.texts([]).empty


def test_rows_are_those_of_the_split_with_the_test_rows(tmp_path: Path) -> None:
    for dataset, lengths in (("train", [2, 1]), ("test", [1, 2])):
        write_codes(tmp_path, np.eye(3, dtype=np.float32), lengths, ["a", "b"], shard_rows=2, dataset=dataset)
    samples = ["m--tiny/train/train", "m--tiny/test/train"]
    row, settings = summary_row(), {"source": "sae"}
    write_result(tmp_path, "m/0", row, samples=samples, features="layer_1/tiny", settings=settings)
    write_summary(Layout.below(tmp_path).summary)
    result = saefari.open_tree(tmp_path).result("m/0")
    assert result.texts([10, 0]).tolist() == ["w1_0 w1_1", "w0_0"]
    assert result.codes([10]).matrix.toarray().tolist() == [[0, 1, 0], [0, 0, 1]]


def test_top_latents_of_a_linear_probe(tree: saefari.Tree, explained: int) -> None:
    result = tree.best(source="sae", classifier="linear")
    stored = result.record["classifiers"]["linear"]["top_features"]
    table = result.top_latents(3)
    assert list(table) == ["class", "latent", "name", "weight", "score", "explanation"]
    for name in result.classes:
        own = table[table["class"] == name]
        assert own["latent"].tolist() == [entry["feature"] for entry in stored[name][:3]]
        assert own["weight"].tolist() == [entry["weight"] for entry in stored[name][:3]]
    assert table["explanation"].tolist() == [EXPLANATION if one == explained else "" for one in table["latent"]]
    assert (table["latent"] == explained).any()


def test_the_weights_are_those_of_the_estimator(tree: saefari.Tree) -> None:
    result = tree.best(source="sae", classifier="linear")
    stored = load_classifier(result.folder, "linear")
    weights = pd.Series(stored.estimator[-1].coef_[0], index=stored.columns)
    table = result.top_features(20).query("`class` == 'odd'")  # of two classes the weights speak for the second
    np.testing.assert_allclose(table["weight"], weights[table["feature"]])
    assert table["weight"].abs().iloc[0] == pytest.approx(weights.abs().max())
    assert table["weight"].abs().is_monotonic_decreasing


def test_top_features_of_trees_and_terms(tree: saefari.Tree) -> None:
    grown = tree.best(source="sae", classifier="tree")
    stored = grown.record["classifiers"]["tree"]["top_features"]
    assert list(grown.top_latents()) == ["latent", "name", "importance", "score", "explanation"]
    assert len(stored) > 1
    assert grown.top_latents(1)["latent"].tolist() == [stored[0]["feature"]]
    assert grown.top_features(20)["importance"].tolist() == [entry["importance"] for entry in stored]
    terms = tree.best(source="tfidf", classifier="linear").top_features(4)
    assert list(terms) == ["class", "feature", "name", "weight"]
    assert len(terms) == 8
    assert (terms["name"] != "").all()
    assert set(tree.best(source="hidden", classifier="tree").top_features()["name"]) == {""}


def test_what_a_result_has_not_is_an_error(tree: saefari.Tree) -> None:
    words, majority = tree.best(source="tfidf"), tree.best(source="majority")
    with pytest.raises(StoreError, match=r"'tfidf' has no latents; top_features\(n\)"):
        words.top_latents()
    with pytest.raises(StoreError, match="'tfidf' has no latents; only results of source"):
        words.codes([0])
    with pytest.raises(StoreError, match="'majority' reads no features"):
        majority.top_features()


@pytest.mark.parametrize(
    ("classifier", "names"),
    [
        ("linear", ["confusion", "roc", "top_features"]),
        ("tree", ["confusion", "roc", "top_features", "structure"]),
    ],
)
def test_figures_are_those_of_the_run(tree: saefari.Tree, classifier: str, names: list[str]) -> None:
    result = tree.best(source="sae", classifier=classifier)
    for name in names:
        figure = result.plot(name)
        assert figure._repr_png_().startswith(PNG)
        assert figure.axes
    (axes,) = result.plot("confusion").axes
    assert axes.get_title() == f"macro-F1 {result.metrics['macro_f1']:.3f}"
    with pytest.raises(
        StoreError, match=rf"figure 'confussion' does not exist \(did you mean 'confusion'\?\); figures: {names[0]}"
    ):
        result.plot("confussion")


def test_a_tree_has_a_figure_that_a_probe_has_not(tree: saefari.Tree) -> None:
    with pytest.raises(StoreError, match="figure 'structure' does not exist; figures: confusion, roc, top_features"):
        tree.best(source="sae", classifier="linear").plot("structure")


def test_an_imported_result_says_what_it_lacks(tmp_path: Path) -> None:
    row = summary_row(macro_f1_low=None, macro_f1_high=None, cv_macro_f1=None)
    scores = {"confusion": None, "roc": None, "top_features": None, "nodes": None}
    settings = {"source": "sae", "layer": 3, "width": "3k"}
    write_result(tmp_path, "m/d/train/layer_3/3k/x", row, classifiers={"linear": scores}, settings=settings)
    write_summary(Layout.below(tmp_path).summary)
    result = saefari.open_tree(tmp_path).result("m/d/train/layer_3/3k/x")
    assert result.metrics["cv_macro_f1"] is None
    for call, message in (
        (result.predictions, "imported results have no predictions of single rows"),
        (result.codes, "the rows of this result are not recorded"),
        (result.top_latents, "reads no features"),
        (result.plot, "figure 'confusion' does not exist; figures: none"),
        (lambda: result.predict(["a text"]), "imported results have no estimators"),
    ):
        with pytest.raises(StoreError, match=message):
            call()
