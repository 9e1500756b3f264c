"""Imported results: full names, scores without cross-validation, cautions, links to Neuronpedia."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.pages.compare.data.picks import read_picks, score_rows
from app.pages.compare.parts.figures import value_label
from app.server import create_app
from app.shared.data import tree as tree_module
from app.shared.data.one_result import find_result
from app.shared.data.top_features import top_features
from app.shared.data.tree import Index, OutputTree
from saefari.pipeline.commands.import_mosaic import import_mosaic
from saefari.store import Layout, read_result, write_json
from tests.app.rendered import page, text
from tests.store.mosaic_tree import mosaic_document, with_bag_of_words, write_document

OWNERS = ("example", "other")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app(tmp_path_factory.mktemp("empty")).server


@pytest.fixture
def served(server: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app on two imported datasets with the same short name; one has two text columns and a baseline."""
    monkeypatch.setattr(tree_module, "_MAX_AGE_SECONDS", -1)
    for number, owner in enumerate(OWNERS):
        args: dict[str, Any] = {"dataset_name": f"{owner}/harbour_notices", "dataset_config_name": "english"}
        for field in ("text", "translation")[: 2 - number]:
            document = with_bag_of_words(mosaic_document(text_field=field, **args), 0.4)
            write_document(tmp_path / "theirs" / owner / field / "sae_classifier_results.json", document)
    write_document(
        tmp_path / "theirs" / "larger" / "sae_classifier_results.json",
        mosaic_document(text_field="text", test_size=0.4, **(args | {"dataset_name": "example/harbour_notices"})),
    )
    import_mosaic(tmp_path / "theirs", Layout.below(tmp_path))
    monkeypatch.setitem(server.config, "SAEFARI_TREE", OutputTree(tmp_path))
    with server.app_context():
        yield server


def index(served: Flask) -> Index:
    found: Index = served.config["SAEFARI_TREE"].index()
    return found


def run_of(served: Flask, **wanted: Any) -> str:
    rows = index(served).results
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return str(rows.run.iloc[0])


def mark(served: Flask, run: str) -> None:
    """Add a caution to a result."""
    folder = index(served).folders[run]
    record = read_result(folder)
    record["settings"]["caution"] = "the text gives the class away"
    for row in record["summary"]:
        row["caution"] = record["settings"]["caution"]
    write_json(folder / "results.json", record)


def test_tasks_have_full_distinct_names(served: Flask) -> None:
    assert set(index(served).results.task) == {
        "example/harbour_notices/english/test (text)",
        "example/harbour_notices/english/test (translation)",
        "other/harbour_notices/english/test",
    }
    assert value_label("task", "other/harbour_notices/english/test") == "other/harbour_notices/english/test"


def test_every_page_of_results_names_the_dataset(served: Flask) -> None:
    compare, runs = page("compare"), page("runs")
    heat = compare._heat("best", "macro_f1", [], [])
    shown = [runs.layout(), compare.layout(), compare._compare("macro_f1", "source", "none", "task", [], []), heat]
    for task in set(index(served).results.task):
        assert all(task in text(one) for one in shown)
    for owner in OWNERS:
        run = run_of(served, dataset=f"{owner}/harbour_notices", source="sae")
        assert f"{owner}/harbour_notices/english/test" in text(page("run").layout(run=run, classifier="linear"))


def test_results_without_cross_validation_are_compared_and_marked(served: Flask) -> None:
    compare = page("compare")
    shown = text(compare._compare("macro_f1", "source", "none", "task", [], []))
    assert "/run?run=" in shown
    assert "is shown, which is biased upwards" in shown
    assert '"chosen_by": "test score"' in shown
    assert "z:.3f" in text(compare._heat("best", "macro_f1", [], []))
    assert "z:+.3f" in text(compare._heat("difference", "macro_f1", [], []))
    wins = text(compare._wins([], []))
    assert '"by_test": 3' in wins
    assert '"n": 3' in wins
    assert "selected by test score" in text(page("runs").layout())
    assert "None of the 11 results here has CV macro-F1" in text(
        compare._compare("cv_macro_f1", "source", "none", "task", [], [])
    )


@pytest.mark.parametrize("metric", ["macro_precision", "macro_recall", "cv_accuracy"])
def test_more_metrics_are_shown(served: Flask, metric: str) -> None:
    assert "/run?run=" in text(page("compare")._compare(metric, "source", "none", "task", [], []))
    assert f'"field": "{metric}"' in text(page("runs").layout())


def test_a_variant_is_part_of_a_result_s_name(served: Flask) -> None:
    run = run_of(served, variant="test_size 0.4")
    assert "sum, top-n 0, test_size 0.4" in text(page("run").layout(run=run, classifier="linear"))
    assert '"field": "variant"' in text(page("runs").layout())


def test_tiles_show_the_averages_and_the_spread_of_folds(served: Flask) -> None:
    shown = text(page("run").layout(run=run_of(served, source="sae"), classifier="linear"))
    for words in ("macro precision", "macro recall", "CV accuracy", "0.820", "standard deviation 0.050"):
        assert words in shown


def test_latents_of_an_sae_outside_the_tree_link_to_neuronpedia(served: Flask) -> None:
    result = find_result(index(served), run_of(served, source="sae"), "linear")
    features = top_features(index(served), result, "Harmless")
    assert {one.name.href.rsplit("/", 1)[0] for one in features} == {
        "https://www.neuronpedia.org/gemma-2-2b/12-gemmascope-res-16k"
    }
    result.record["settings"]["neuronpedia"] = "javascript:alert(1)//x"
    assert {one.name.href for one in top_features(index(served), result, "Harmless")} == {""}


def test_a_caution_is_shown_with_the_score_on_every_page(served: Flask) -> None:
    run = run_of(served, dataset="other/harbour_notices", source="sae")
    caution_text, compare = "the text gives the class away", page("compare")
    builds = (
        lambda: page("overview")._wins(""),
        lambda: page("runs").layout(),
        lambda: page("run").layout(run=run, classifier="linear"),
        lambda: compare._compare("macro_f1", "source", "none", "task", [], []),
        lambda: compare._heat("best", "macro_f1", [], []),
        lambda: compare._wins([], []),
        lambda: score_rows(read_picks(index(served), [f"{run}.linear"])[0]),
    )
    for build in builds:
        assert caution_text not in text(build())
    mark(served, run)
    for build in builds:
        assert caution_text in text(build())
