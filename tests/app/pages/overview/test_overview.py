"""Page Overview: verdicts, latents of classes, examples, and trees without names or results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flask import Flask

from app.pages.overview.data.class_latents import class_latents
from app.pages.overview.data.samples import example_rows
from app.pages.overview.data.verdict import difference_of, verdict, verdict_sentence
from app.shared.data.paired import Difference
from app.shared.data.samples.rows import ResultRows, find_rows
from app.shared.data.selection import SaeAndBaseline, best_pairs
from app.shared.data.tree import OutputTree, tree
from saefari.store import write_json
from tests.app import rendered
from tests.app.rendered import text
from tests.app.sample_tree import CLASSES, classified_server, result
from tests.app.small_results import summary_row, write_result


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    sources = {"sae": "layer_3/3k", "tfidf": None, "majority": None}
    return classified_server(tmp_path_factory.mktemp("output"), sources)


@pytest.fixture
def served(server: Flask) -> Iterator[Flask]:
    with server.app_context():
        yield server


@pytest.fixture
def elsewhere(server: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app on an empty tree."""
    monkeypatch.setitem(server.config, "SAEFARI_TREE", OutputTree(tmp_path))
    with server.app_context():
        yield tmp_path


def side(source: str, score: float, reach: float = 0.02, **changes: Any) -> Any:
    bounds = {"macro_f1": score, "macro_f1_low": score - reach, "macro_f1_high": score + reach}
    return SimpleNamespace(
        **bounds | {"source": source, "model": "", "caution": "", "by_test": False, "run": ""} | changes
    )


BETTER = SaeAndBaseline("d/train", side("sae", 0.8), side("tfidf", 0.7))
CLOSE = SaeAndBaseline("d/train", side("sae", 0.71), side("tfidf", 0.7))


@pytest.mark.parametrize(
    ("pair", "paired", "wanted"),
    [
        (BETTER, None, "better"),
        (CLOSE, None, "not clearly different"),
        (SaeAndBaseline("d", side("sae", 0.6), side("tfidf", 0.7)), None, "worse"),
        (SaeAndBaseline("d", side("sae", 0.6, float("nan")), side("tfidf", 0.7)), None, "unknown"),
        (CLOSE, Difference(0.01, 0.002, 0.018, 400), "better"),
        (CLOSE, Difference(0.01, -0.002, 0.022, 400), "not clearly different"),
        (BETTER, Difference(-0.01, -0.02, -0.001, 400), "worse"),
    ],
)
def test_the_paired_difference_decides_or_else_the_intervals(
    pair: SaeAndBaseline, paired: Difference | None, wanted: str
) -> None:
    assert verdict(pair, paired) == wanted


def test_the_sentence_has_scores_difference_interval_and_selection() -> None:
    assert verdict_sentence(CLOSE, Difference(0.01, -0.002, 0.022, 1600)) == (
        "SAE features are not clearly different from the best baseline, TF-IDF: macro-F1 0.710 (0.690–0.730) against "
        "0.700 (0.680–0.720). Difference +0.010 (95% interval -0.002 to +0.022, on the same 1,600 test rows). Both "
        "were selected by cross-validation on the training rows."
    )
    by_test = SaeAndBaseline("d", side("sae", 0.8, by_test=True), side("hidden", 0.7, model="a/b", layer=3))
    sentence = verdict_sentence(by_test, None)
    assert "the best baseline, hidden states (b, layer 3)" in sentence
    assert "+0.100 (the 95% intervals of the scores do not overlap)" in sentence
    assert "biased upwards" in sentence
    assert verdict_sentence(SaeAndBaseline("d", None, side("tfidf", 0.7)), None).startswith("There is no result of SAE")
    assert "no baseline" in verdict_sentence(SaeAndBaseline("d", side("sae", 0.7), None), None)


def test_the_difference_is_that_of_the_stored_scores(served: Flask) -> None:
    [pair] = best_pairs(tree().index().results)
    found = difference_of(tree().index(), pair)
    assert found is not None
    assert pair.sae is not None
    assert found.value == pytest.approx(pair.difference, abs=1e-6)
    assert found.n_rows == pair.sae.n_test


def some_rows(right: list[bool], confidence: list[float]) -> ResultRows:
    n = len(right)
    chances = np.column_stack([confidence, 1 - np.asarray(confidence)]).astype(np.float32)
    names = np.asarray([str(i) for i in range(n)], dtype=object)
    labels = np.where(right, 0, 1)
    return ResultRows(np.arange(n), names, names, labels, np.zeros(n, dtype=np.int64), chances, ["a", "b"], "")


def test_examples_are_the_surest_the_median_and_the_least_sure() -> None:
    rows = some_rows([True] * 5 + [False] * 2, [0.6, 0.9, 0.7, 0.9, 0.8, 0.55, 0.95])
    assert [(one.place, one.role) for one in example_rows(rows, True)] == [
        (1, "the surest"),
        (4, "the median"),
        (0, "the least sure"),
    ]
    assert [one.place for one in example_rows(rows, False)] == [6, 5]
    assert example_rows(some_rows([True], [0.9]), False) == []
    assert len(example_rows(some_rows([True], [0.9]), True)) == 1


def test_named_latents_come_before_others_in_each_class(served: Flask) -> None:
    index = tree().index()
    plain = class_latents(index, result("sae"))
    assert [one.name for one in plain] == sorted(CLASSES)
    assert all(one.features[0].title.startswith("latent ") for one in plain)
    listed = [entry for entry in result("sae").scores["top_features"]["ant"] if entry["weight"] > 0]
    [sae] = index.saes.values()
    last = listed[-1]["feature"]
    write_json(sae.explanations / f"{last}.json", {"name": "ants", "explanation": "Fires on ants."})
    try:
        [of_ant] = [one for one in class_latents(index, result("sae")) if one.name == "ant"]
        assert [name.title for name in of_ant.features] == ["ants"]
        shown = text(rendered.page("overview")._classes("d/train"))
        assert "Fires on ants.\\nnot scored" in shown
        assert f"{last}, not scored" in shown
    finally:
        (sae.explanations / f"{last}.json").unlink()
    assert "No latent has a name yet" in text(rendered.page("overview")._classes("d/train"))
    higher = [one.features for one in class_latents(index, result("sae", "tree"))]
    assert any(higher)


def test_every_part_of_the_page_is_shown(served: Flask) -> None:
    page = rendered.page("overview")
    shown = text(
        [page.layout(), page._wins(""), page._classes("d/train"), page._samples("d/train"), page._next("d/train")]
    )
    assert "cannot be shown" not in shown
    for words in ("Who wins", "What speaks for each class", "Right and wrong", "What to look at next", "SAE: "):
        assert words in shown
    found = find_rows(result("sae"))
    n_examples = len([*example_rows(found, True), *example_rows(found, False)])
    assert n_examples >= 4
    assert shown.count('"Predicted "') == n_examples


def test_an_empty_tree_has_the_command_to_run(elsewhere: Path) -> None:
    assert "python run_experiments.py" in text(rendered.page("overview").layout())


def test_results_without_predictions_have_a_verdict_and_a_notice(elsewhere: Path) -> None:
    write_result(elsewhere, "m/d/train/layer_3/3k/sum")
    row = summary_row(source="tfidf", model="", layer=None, width="", macro_f1=0.4)
    write_result(elsewhere, "baselines/d/train/tfidf/tfidf", row)
    page = rendered.page("overview")
    assert "the 95% intervals of the scores overlap" in text(page._wins(""))
    assert "lists no features" in text(page._classes("d/train"))
    assert "no predictions of single rows" in text(page._samples("d/train"))
    assert "/compare?pick=" in text(page._next("d/train"))
    assert "no readable results" in text(page._samples("nowhere"))


def test_old_addresses_of_runs_lead_to_it(server: Flask) -> None:
    answer = server.test_client().get("/?group=source&filters=%7B%22a%22%3A1%7D", headers={"Host": "localhost"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/runs?group=source&filters=%7B%22a%22%3A1%7D")
    for address in ("/", "/?dataset=d", "/compare?group=source"):
        assert server.test_client().get(address, headers={"Host": "localhost"}).status_code == 200
