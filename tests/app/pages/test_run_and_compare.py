"""Pages Run and Compare: complete, missing, invalid and unknown data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dash import no_update
from flask import Flask

from app.pages.compare.data.picks import MOST, read_picks, setting_rows
from app.pages.run.parts.summary import remarks
from app.server import create_app
from app.shared.data import tree as tree_module
from app.shared.data.file_cache import short_id
from app.shared.data.one_result import find_result
from app.shared.data.top_features import top_features
from app.shared.data.tree import OutputTree
from app.shared.parts.figure import clicked_link
from saefari.errors import StoreError
from saefari.store import Manifest, codes_arrays, write_json, write_shard
from tests.app.rendered import page, text

PLACE = "m/d/train/layer_3/3k/sum"
RUN = short_id(PLACE)
ASKED = {"curves": None, "shown_class": None, "collapsed": None}
CLASSES = ["a", "<b>", "c"]
LEAF = {"n_rows": 4, "distribution": [0.5, 0.5, 0.0]}


def record(**changes: Any) -> dict[str, Any]:
    setting = {
        "model": "m", "model_type": "llm", "dataset": "d", "config": "", "split": "train", "layer": 3, "width": "3k",
        "source": "sae", "pooling": "sum", "top_n": 0, "binarize": None, "select_k": None,
    }  # fmt: skip
    scores = {
        "accuracy": 0.5, "macro_f1": 0.5, "macro_f1_interval": [0.4, 0.6], "weighted_f1": 0.5, "roc_auc": 0.7,
        "per_class": {name: {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 8} for name in CLASSES},
        "confusion": [[4, 3, 1], [2, 4, 2], [0, 4, 4]],
        "roc": {name: {"fpr": [0, 1], "tpr": [0, 1]} for name in CLASSES},
        "cross_validation": {"macro_f1": 0.5, "folds": [0.4, 0.6]}, "n_features": 60, "seconds": 1.0,
    }  # fmt: skip
    linear = scores | {
        "chosen": {"C": 0.1},
        "candidates": [{"C": 0.1, "folds": [0.4, 0.6]}, {"C": 1.0, "folds": [0.3, 0.5]}],
        "top_features": {name: [{"feature": 4, "weight": -0.5, "direction": "against"}] for name in CLASSES},
    }
    tree = scores | {
        "top_features": [{"feature": 4, "importance": 1.0, "direction": {"a": "higher", "<b>": "lower"}}],
        "nodes": [{**LEAF, "feature": 4, "threshold": 0.5, "left": 1, "right": 2}, LEAF, LEAF],
    }
    row = {"macro_f1_low": 0.4, "macro_f1_high": 0.6, "cv_macro_f1": 0.5, "n_train": 80, "n_test": 24}
    row |= {key: scores[key] for key in ("macro_f1", "accuracy", "roc_auc", "n_features", "seconds")}
    whole = {
        "settings": setting, "classes": CLASSES, "n_train": 80, "n_test": 24, "dropped_classes": {}, "warnings": [],
        "classifiers": {"linear": linear, "tree": tree}, "libraries": {"numpy": "2"}, "created": "2026",
        "summary": [setting | row | {"classifier": name} for name in ("linear", "tree")],
    }  # fmt: skip
    return whole | changes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app(tmp_path_factory.mktemp("empty")).server


@pytest.fixture
def served(server: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app on a tree with one result of an SAE, its codes and an explanation."""
    monkeypatch.setattr(tree_module, "_MAX_AGE_SECONDS", -1)
    write_json(tmp_path / "classifications" / PLACE / "results.json", record())
    arrays = codes_arrays(np.array([0, 1, 2]), np.array([0, 4]), np.array([1.0, 2.0]), np.array([0, 1, 2]), 8)
    codes = tmp_path / "activations/m/d/train/layer_3/3k"
    codes.mkdir(parents=True)
    statistics = {"stat_counts": np.array([1, 0, 0, 0, 1, 0, 0, 0]), "stat_n_positions": np.asarray(4)}
    manifest = Manifest("codes", {}, 2, {"d_sae": 8})
    manifest.add(write_shard(codes, 0, (0, 2), arrays | statistics))
    manifest.save(codes)
    write_json(tmp_path / "explanations/m/layer_3/3k/4.json", {"explanation": "<i>cats</i>", "scores": {}})
    monkeypatch.setitem(server.config, "SAEFARI_TREE", OutputTree(tmp_path))
    with server.app_context():
        yield server


def result_file(served: Flask) -> Path:
    path: Path = served.config["SAEFARI_TREE"].output / "classifications" / PLACE / "results.json"
    return path


def index(served: Flask) -> Any:
    return served.config["SAEFARI_TREE"].index()


def whole_run(classifier: str) -> str:
    """The page with all its callbacks."""
    run = page("run")
    shown = [run.layout(run=RUN, classifier=classifier)]
    shown += [run._confused(ASKED, RUN, classifier), run._rest(ASKED, RUN, classifier)]
    section = sys.modules["app.pages.run.parts.features_section"]
    return text([*shown, section._show_features("a" if classifier == "linear" else "", RUN, classifier)])


@pytest.mark.parametrize("classifier", ["linear", "tree"])
def test_a_complete_result_shows_all_its_parts(served: Flask, classifier: str) -> None:
    shown = whole_run(classifier)
    assert "cannot be shown" not in shown
    assert "This result has no" not in shown
    for part in ("Confusion matrix", "ROC curves", "Scores per class", "Top features", "Cross-validation"):
        assert part in shown
    assert ("Decision tree" in shown) == (classifier == "tree")
    assert f"/samples?run={RUN}&classifier={classifier}" in shown
    assert f"/try?run={RUN}&classifier={classifier}" in shown


def test_classes_that_were_left_out_are_listed_with_the_reason() -> None:
    dropped = {"d": "no test row", "e": "2 training rows for 5 folds"}
    assert "d (no test row), e (2 training rows for 5 folds)" in text(remarks(record(dropped_classes=dropped)))
    assert remarks(record()) is None


def test_a_latent_links_to_its_page_and_shows_its_facts(served: Flask) -> None:
    [feature] = top_features(index(served), find_result(index(served), RUN, "linear"), "a")
    [sae], [codes] = index(served).saes, index(served).code_sets
    assert feature.name.href == f"/latent?sae={sae}&latent=4&codes={codes}"
    assert (feature.note.density, feature.name.sentence) == (0.25, "<i>cats</i>")
    assert "&lt;i&gt;cats" in whole_run("linear")  # in the figure, which reads a few tags


def test_other_features_have_no_page(served: Flask) -> None:
    changed = record()
    for row in changed["summary"]:
        row |= {"source": "hidden", "width": ""}
    write_json(result_file(served), changed)
    [feature] = top_features(index(served), find_result(index(served), RUN, "tree"), "")
    assert (feature.name.title, feature.name.href, feature.higher) == ("dimension 4", "", ("a",))


@pytest.mark.parametrize("key", ["confusion", "roc", "per_class", "top_features", "nodes", "cross_validation"])
@pytest.mark.parametrize("value", [None, 7, "words", [7], {"a": 7}, [[1, 2], [3]], {"folds": "words"}])
def test_missing_or_invalid_parts_have_a_notice_and_the_rest_is_shown(served: Flask, key: str, value: Any) -> None:
    changed = record()
    for scores in changed["classifiers"].values():
        scores[key] = value
    write_json(result_file(served), changed)
    for classifier in ("linear", "tree"):
        shown = whole_run(classifier)
        assert "Confusion matrix" in shown
        assert "Provenance" in shown
    assert text(page("compare").layout(pick=[f"{RUN}.linear", f"{RUN}.tree"]))


def test_an_imported_result_opens_without_what_it_lacks(served: Flask) -> None:
    changed = record(imported_from={"format": "mosaic", "file": "x.json"}, warnings=["No intervals."], libraries={})
    for scores in changed["classifiers"].values():
        scores |= {"confusion": None, "macro_f1_interval": None, "roc": None, "seconds": None, "top_features": None}
        scores["cross_validation"] = {"macro_f1": None, "folds": [], "accuracy": 0.6, "accuracy_folds": [0.5, 0.7]}
        scores.pop("candidates", None)
    changed["classifiers"]["tree"]["nodes"] = None
    for row in changed["summary"]:
        row |= {"macro_f1_low": None, "macro_f1_high": None, "cv_macro_f1": None}
    write_json(result_file(served), changed)
    for classifier in ("linear", "tree"):
        shown = whole_run(classifier)
        assert "cannot be shown" not in shown
        for words in ("mosaic", "No intervals.", "interval unknown", "has no confusion matrix", "0.500, 0.700"):
            assert words in shown
    compare = page("compare")
    assert "cannot be shown" not in text(compare._compare("macro_f1", "layer", "source", "task", [], []))
    assert "has no CV macro-F1" not in text(compare._compare("macro_f1", "classifier", "none", "none", [], []))
    assert "2 results here has CV macro-F1" in text(compare._compare("cv_macro_f1", "layer", "source", "task", [], []))
    assert "%{z:.3f}" in text(compare._heat("best", "macro_f1", [], []))
    assert "No model has a baseline with macro-F1" in text(compare._heat("difference", "macro_f1", [], []))
    assert "There are no baselines in this selection" in text(compare._wins([], []))


@pytest.mark.parametrize("ids", [("", "nonsense"), ("../../etc", ""), ("nonsense", "linear"), (RUN, "../x")])
def test_unknown_ids_are_errors(served: Flask, ids: tuple[str, str]) -> None:
    run, classifier = ids
    shown = text(page("run").layout(run=run, classifier=classifier))
    assert ("The page Runs lists" in shown) == bool(run)
    with pytest.raises(StoreError, match=r"no result|no classifier"):
        find_result(index(served), *ids)


def test_an_incomplete_result_is_an_error(served: Flask) -> None:
    before = index(served)
    path = result_file(served)
    path.write_text(path.read_text()[:200])
    with pytest.raises(StoreError, match="cannot be read"):
        find_result(before, RUN, "linear")
    assert "There is no result" in text(page("run").layout(run=RUN, classifier="linear"))


def test_picks_mark_differing_settings_and_are_limited_in_number(served: Flask) -> None:
    results, problems = read_picks(index(served), [f"{RUN}.linear", f"{RUN}.tree", f"{RUN}.tree", "gone.linear"])
    assert [one.classifier for one in results] == ["linear", "tree"]
    assert len(problems) == 1
    differ = {name: values for name, values, different in setting_rows(results) if different}
    assert differ == {"classifier": ["linear", "tree"], "chosen C": ["0.1", "–"]}
    _, problems = read_picks(index(served), [f"gone{i}.linear" for i in range(MOST + 1)])
    assert problems[-1] == f"{MOST + 1} results are selected; the first {MOST} are shown"


def test_compare_shows_each_part(served: Flask) -> None:
    baseline = record()
    for row in baseline["summary"]:
        row |= {"source": "tfidf", "layer": None, "width": "", "model": "", "macro_f1": 0.4}
    write_json(result_file(served).parents[5] / "baselines/d/train/tfidf/tfidf/results.json", baseline)
    compare = page("compare")
    assert text(compare.layout(metric="nonsense", x="nonsense", pick="nonsense"))
    assert "/run?run=" in text(compare._compare("accuracy", "source", "none", "none", ["d/train"], ["tree"]))
    assert "Marks combine" not in text(compare._compare("accuracy", "source", "none", "none", [], []))
    assert "+%{z:.3f}" not in text(compare._heat("best", "macro_f1", [], []))
    assert "%{z:+.3f}" in text(compare._heat("difference", "macro_f1", [], []))
    assert '"rate": 1.0' in text(compare._wins([], []))
    assert "No results match" in text(compare._compare("accuracy", "source", "none", "none", ["elsewhere"], []))


def test_marks_over_several_datasets_have_a_notice(served: Flask) -> None:
    other = record()
    for row in other["summary"]:
        row["dataset"] = "e"
    write_json(result_file(served).parents[4] / "e/train/layer_3/3k/sum/results.json", other)
    compare = page("compare")
    assert "Marks combine 2 datasets" in text(compare._compare("accuracy", "source", "none", "none", [], []))
    assert "Marks combine" not in text(compare._compare("accuracy", "source", "none", "task", [], []))
    assert "Marks combine" not in text(compare._compare("accuracy", "source", "none", "none", ["e/train"], []))


def test_a_click_opens_only_pages_of_the_app() -> None:
    point = lambda href: {"points": [{"customdata": href}]}  # noqa: E731
    assert clicked_link(point("/latent?sae=a"), "/latent") == "/latent?sae=a"
    for href in ("https://elsewhere.example", "", None, 5):
        assert clicked_link(point(href), "/latent") is no_update
