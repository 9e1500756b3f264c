"""Page Samples, on results of the real classification of a small tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flask import Flask

from app.pages.samples.data import map as map_module
from app.pages.samples.data.map import draw_map
from app.pages.samples.parts.map import map_figure
from app.shared.data.samples.reasons import offered_latents
from app.shared.data.samples.rows import Filters, ResultRows, find_rows, find_sample, matching, runner_up
from app.shared.data.samples.selection import selected_in_baselines
from app.shared.data.tree import OutputTree, tree
from app.shared.feature_name import FeatureName
from app.shared.parts.decisions.contributions import ClassLogit, bars, sum_text
from saefari.store import write_json
from tests.app.rendered import text
from tests.app.sample_tree import CLASSES, FIRST, N_ROWS, SOURCES, classified_server, ids, page, result, shown


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return classified_server(tmp_path_factory.mktemp("output"), SOURCES)


@pytest.fixture
def served(server: Flask) -> Iterator[Flask]:
    with server.app_context():
        yield server


def some_rows(labels: list[int], probabilities: list[list[float]]) -> ResultRows:
    n, chances = len(labels), np.asarray(probabilities, dtype=np.float32)
    words = np.asarray([f"Text {i}" for i in range(n)], dtype=object)
    names = np.asarray([f"id{i}" for i in range(n)], dtype=object)
    return ResultRows(
        np.arange(n) + 50, names, words, np.asarray(labels), chances.argmax(axis=1), chances, ["a", "b", "c"], ""
    )


ROWS = some_rows([0, 1, 0, 2], [[0.9, 0.1, 0], [0.85, 0.1, 0.05], [0.48, 0.44, 0.08], [0.2, 0.2, 0.6]])


@pytest.mark.parametrize(
    ("filters", "places"),
    [
        (Filters(), [0, 1, 2, 3]),
        (Filters("right"), [0, 2, 3]),
        (Filters("wrong"), [1]),
        (Filters("confident", sure=0.9), [0]),
        (Filters("confidently-wrong", sure=0.8), [1]),
        (Filters("confidently-wrong", sure=0.9), []),
        (Filters("unsure"), [2]),
        (Filters(true_class="a"), [0, 2]),
        (Filters(predicted_class="a", true_class="b"), [1]),
        (Filters(search="tExT 2"), [2]),
        (Filters(search="id3"), [3]),
        (Filters(search="id"), []),
    ],
)
def test_filters_select_the_right_rows(filters: Filters, places: list[int]) -> None:
    assert matching(ROWS, filters).tolist() == places


def test_the_compared_class_is_the_true_class_or_the_runner_up() -> None:
    assert runner_up(np.array([0.7, 0.1, 0.2]), label=0) == 2
    assert runner_up(np.array([0.7, 0.1, 0.2]), label=1) == 1


def test_test_rows_have_their_own_texts(served: Flask) -> None:
    rows = find_rows(result("sae"))
    assert rows.rows.tolist() == [FIRST + i for i in range(0, N_ROWS, 4)]
    for place, row in enumerate(rows.rows.tolist()):
        assert rows.ids[place] == f"id{row - FIRST}"
        assert rows.classes[rows.labels[place]] == CLASSES[(row - FIRST) % 3]
        assert rows.texts[place] == find_sample(result("sae"), row).text


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf"])
def test_contributions_and_intercept_give_the_stored_probabilities(served: Flask, source: str) -> None:
    for row in find_rows(result(source)).rows.tolist():
        one = shown(source, "linear", row)
        decision = one.decision()
        assert decision.contributions is not None
        odds = np.exp(decision.contributions.per_class.sum(axis=0) + decision.contributions.intercepts)
        np.testing.assert_allclose(odds / odds.sum(), one.rows.probabilities[one.place], atol=1e-5)
        assert not one.is_outdated(decision)


def test_the_latent_with_the_strongest_support_is_offered_first(served: Flask) -> None:
    one = shown("sae", "linear", FIRST + 4)
    sample = find_sample(one.result, one.row)
    assert sample.text is not None
    assert sample.codes is not None
    own = next(word for word in sample.text.split() if word.startswith("own"))
    offered = offered_latents(one.decision(), one.predicted, sample.codes)
    assert next(iter(offered)) == int(own.removeprefix("own"))
    assert set(offered) == set(np.flatnonzero(sample.codes.max(axis=0).toarray()).tolist())
    coloured = text(page()._colour(str(one.row), "strongest", None, *ids("sae")))
    spans = [part for part in coloured.split('"Span"') if "data-value" in part]
    strong = [part for part in coloured.split("{") if '"token token-strong"' in part]
    assert any(f'"children": "{own}"' in part for part in strong)
    assert len(strong) == 1 <= len(spans)


def test_an_unknown_latent_has_a_notice(served: Flask) -> None:
    assert "no latent 99" in text(page()._colour(str(FIRST), "99", None, *ids("sae")))
    options, display = page()._offer_latents(str(FIRST), "99", *ids("sae"))
    assert display == "block"
    assert options[-1]["value"] == "99"


def test_terms_are_coloured_at_their_positions(served: Flask) -> None:
    coloured = text(page()._colour(str(FIRST + 4), "strongest", None, *ids("tfidf")))
    assert "data-value" in coloured
    children = re.findall(r'"children": "(.)", "className": "token', coloured)
    assert "own" in "".join(children)


@pytest.mark.parametrize("source", list(SOURCES))
@pytest.mark.parametrize("classifier", ["linear", "tree"])
def test_every_part_of_a_sample_can_be_shown(served: Flask, source: str, classifier: str) -> None:
    classifier = "majority" if source == "majority" else classifier
    result_ids, row = ids(source, classifier), str(FIRST + 8)
    parts = [
        page().layout(*result_ids, row=row),
        page()._show_facts(row, *result_ids),
        page()._colour(row, "strongest", None, *result_ids),
        page()._explain(row, "usual", *result_ids),
        page()._show_baselines(row, *result_ids),
    ]
    shown_parts = text(parts)
    assert "cannot be shown" not in shown_parts
    assert "is not there" not in shown_parts
    assert "does not exist" not in shown_parts
    assert f"Row {row}, id id8" in shown_parts
    reasons = text(parts[3])
    if source == "sae":
        assert "/latent?sae=" in reasons
    assert reasons.count('"Predicted "') == 1
    if classifier == "linear":
        assert "= logit" in reasons
    if classifier == "tree":
        assert re.search(r"(≤|>|\\u2264) [\d.]+", reasons)
        assert "The row's leaf holds" in reasons


def test_other_sources_are_the_best_of_each(served: Flask) -> None:
    others, without = selected_in_baselines(shown("sae", "linear", FIRST))
    assert [one.result.row.source for one in others] == ["hidden", "tfidf"]
    assert without == []
    scores = tree().index().results.groupby("source").cv_macro_f1.max()
    assert [one.result.row.cv_macro_f1 for one in others] == [scores["hidden"], scores["tfidf"]]
    of_baseline = selected_in_baselines(shown("tfidf", "linear", FIRST))[0]
    assert [one.result.row.source for one in of_baseline] == ["sae", "hidden"]


@pytest.mark.parametrize(("source", "space"), [("sae", "features"), ("tfidf", "features"), ("majority", "layer_3")])
def test_points_of_the_map_are_rows(served: Flask, monkeypatch: pytest.MonkeyPatch, source: str, space: str) -> None:
    monkeypatch.setattr(map_module, "MOST_ROWS", 20)
    map_module._draw.cache_clear()
    one = result(source, "majority" if source == "majority" else "linear")
    rows = find_rows(one)
    drawn = draw_map(tree().index(), one, rows, space, "pca")
    map_module._draw.cache_clear()
    np.testing.assert_array_equal(draw_map(tree().index(), one, rows, space, "pca").xy, drawn.xy)
    map_module._draw.cache_clear()
    assert len(drawn.places) == 20
    wrong = matching(rows, Filters("wrong"))
    figure = map_figure(drawn, rows, wrong, "label", int(rows.rows[drawn.places[0]]), "PCA")
    listed = [row for trace in figure.data for row in trace.customdata or ()]
    assert sorted(listed) == sorted(rows.rows[np.intersect1d(drawn.places, wrong)].tolist())
    by_name = {trace.name: trace for trace in figure.data}
    for name, trace in by_name.items():
        for row in trace.customdata or ():
            assert name == rows.classes[rows.labels[rows.place(row)]].replace("<", "&lt;").replace(">", "&gt;")
    assert len(by_name["selected row"].x) == 1


def test_bars_sum_to_the_logit_also_with_many_features() -> None:
    logit = ClassLogit("a (predicted)", np.linspace(-1, 2, 40), -0.25, float(np.linspace(-1, 2, 40).sum() - 0.25))
    bar = bars([FeatureName("latent", i) for i in range(40)], logit).data[0]
    assert sum(bar.x) == pytest.approx(logit.logit)
    assert len(bar.x) < 20
    assert f"logit {logit.logit:+.3f}" in sum_text(logit)


@pytest.mark.parametrize("row", ["", "7", "nonsense"])
def test_a_row_that_was_not_tested_has_a_notice(served: Flask, row: str) -> None:
    parts = [page()._show_facts(row, *ids("sae")), page()._explain(row, "usual", *ids("sae"))]
    assert "row" in text(parts)
    assert page()._offer_latents(row, "strongest", *ids("sae")) == ([], "none")


def test_unknown_results_and_odd_parameters_are_no_errors(served: Flask) -> None:
    assert "no result with the id" in text(page().layout("nope", "linear"))
    odd = {"row": "x", "latent": "y", "sure": "z", "show": "?", "class": ["a", "b"], "space": "..", "against": "q"}
    assert f"{N_ROWS // 4} of {N_ROWS // 4} test rows" in text(page().layout(*ids("sae"), **odd))


def test_without_samples_predictions_are_listed_with_a_notice(served: Flask) -> None:
    one = result("sae")
    record = {key: value for key, value in one.record.items() if key != "samples"}
    rows = find_rows(replace(one, record=record))
    assert "where its rows are stored" in rows.without_texts
    assert len(rows.rows) == N_ROWS // 4
    assert set(rows.texts) == {""}


def test_an_imported_result_has_a_notice_that_its_rows_are_unknown(
    server: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.app_context():
        record = result("sae").record
        write_json(tmp_path / "classifications/m/d/train/layer_3/3k/one/results.json", record)
        monkeypatch.setitem(server.config, "SAEFARI_TREE", OutputTree(tmp_path))
        assert "imported results have no predictions of single rows" in text(page().layout())
