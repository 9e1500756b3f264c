"""Comparison of results: cross-validation selects, the test score is only shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.pages.compare.data.cells import best_by_model, best_per_cell, filter_rows, sorted_values, win_rates
from app.pages.compare.parts.figures import View, comparison_figure
from app.shared.data.selection import with_tasks
from saefari.store import summary_table

NAMES = {"macro_f1": "macro-F1", "layer": "layer", "source": "source"}


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    usual = {
        "model": "m", "model_type": "llm", "dataset": "d", "config": "", "split": "train", "layer": 1, "width": "3k",
        "source": "sae", "pooling": "sum", "top_n": 0, "binarize": None, "select_k": None, "classifier": "linear",
        "macro_f1": 0.5, "macro_f1_low": None, "macro_f1_high": None, "accuracy": 0.5, "roc_auc": 0.7,
        "cv_macro_f1": 0.5, "n_train": 80, "n_test": 20, "n_features": 60, "seconds": 1.0, "folder": "f",
    }  # fmt: skip
    found = summary_table([usual | row for row in rows])
    return with_tasks(found.assign(run=[f"r{i}" for i in range(len(found))]))


def test_a_cell_shows_the_result_selected_by_cross_validation() -> None:
    rows = table({"cv_macro_f1": 0.6, "macro_f1": 0.4}, {"cv_macro_f1": 0.5, "macro_f1": 0.9}, {"layer": 2})
    found = best_per_cell(rows, ["layer"])
    assert dict(zip(found.rows["layer"], found.rows["macro_f1"], strict=True)) == {1: 0.4, 2: 0.5}
    assert dict(zip(found.rows["layer"], found.rows["n_results"], strict=True)) == {1: 2, 2: 1}
    assert found.by_test == 0


def test_results_without_cross_validation_are_shown_by_their_test_score_and_marked() -> None:
    imported = {"cv_macro_f1": None, "layer": 3}
    alone = best_per_cell(table(imported), ["layer"])
    assert (len(alone.rows), alone.by_test) == (1, 0)
    found = best_per_cell(table({**imported, "macro_f1": 0.4}, {**imported, "pooling": "max"}, {}), ["layer"])
    shown = {row.layer: (row.macro_f1, row.by_test, row.n_results) for row in found.rows.itertuples()}
    assert shown == {1: (0.5, False, 1), 3: (0.5, True, 2)}
    assert found.by_test == 1


def test_a_cross_validated_result_goes_before_a_better_one_without() -> None:
    rows = table({"cv_macro_f1": None, "macro_f1": 0.9}, {"cv_macro_f1": 0.3, "macro_f1": 0.4})
    [row] = best_per_cell(rows, ["layer"]).rows.itertuples()
    assert (row.macro_f1, row.by_test) == (0.4, False)


def test_imported_results_have_a_map_and_wins() -> None:
    imported = {"cv_macro_f1": None}
    words = imported | {"source": "tfidf", "model": "", "layer": None, "width": "", "macro_f1": 0.4}
    rows = table({**imported, "macro_f1": 0.6}, {**imported, "macro_f1": 0.5}, words)
    assert best_by_model(rows, "macro_f1", minus_baseline=False).loc["m", "d/train"] == 0.6
    assert best_by_model(rows, "macro_f1", minus_baseline=True).loc["m", "d/train"] == pytest.approx(0.2)
    [rate] = win_rates(rows)
    assert (rate.n, rate.wins, rate.by_test) == (1, 1, 1)
    assert (rate.wins_apart, rate.unknown) == (0, 1)  # without intervals nothing is known to be apart


def test_results_without_a_layer_have_their_own_cell() -> None:
    found = best_per_cell(table({}, {"source": "tfidf", "layer": None, "model": "", "width": ""}), ["layer", "layer"])
    assert sorted_values(list(found.rows["layer"])) == [1, None]


def test_values_are_sorted() -> None:
    assert sorted_values(["65k", "3k", "1m", "", "3k-random", "3k"]) == ["3k", "3k-random", "65k", "1m", ""]
    assert sorted_values([20, pd.NA, 3]) == [3, 20, None]
    assert sorted_values(["tree", "linear"]) == ["linear", "tree"]


def test_filters_keep_the_named_values() -> None:
    rows = table({}, {"classifier": "tree"}, {"dataset": "e"})
    assert len(filter_rows(rows, task=[], classifier=[])) == 3
    assert list(filter_rows(rows, task=["d/train"], classifier=["tree"])["run"]) == ["r1"]


def test_the_map_subtracts_the_model_s_own_baselines() -> None:
    rows = table(
        {"macro_f1": 0.7},
        {"source": "hidden", "macro_f1": 0.6, "cv_macro_f1": 0.8},
        {"source": "hidden", "macro_f1": 0.9, "cv_macro_f1": 0.1},
        {"source": "hidden", "model": "other", "macro_f1": 0.99, "cv_macro_f1": 0.99},
        {"model": "alone", "dataset": "e", "macro_f1": 0.3},
    )
    best = best_by_model(rows, "macro_f1", minus_baseline=False)
    assert best.loc["m", "d/train"] == 0.7
    assert np.isnan(best.loc["m", "e/train"])
    difference = best_by_model(rows, "macro_f1", minus_baseline=True)
    assert difference.loc["m", "d/train"] == pytest.approx(0.1)
    assert np.isnan(difference.loc["alone", "e/train"])


def test_wins_are_counted_by_dataset_with_their_intervals() -> None:
    def pair(dataset: str, sae: tuple[float, float], baseline: tuple[float, float]) -> list[dict[str, Any]]:
        return [
            {"dataset": dataset, "source": source, "macro_f1": sum(ends) / 2}
            | {"macro_f1_low": ends[0], "macro_f1_high": ends[1]}
            for source, ends in (("sae", sae), ("tfidf", baseline))
        ]

    rows = pair("a", (0.6, 0.7), (0.4, 0.5)) + pair("b", (0.6, 0.7), (0.5, 0.65)) + pair("c", (0.1, 0.2), (0.3, 0.4))
    [rate] = win_rates(table(*rows, {"dataset": "only sae"}, {"dataset": "only tfidf", "source": "tfidf"}))
    assert (rate.baseline, rate.n, rate.wins, rate.wins_apart) == ("tfidf", 3, 2, 1)
    assert (rate.losses, rate.losses_apart, rate.unknown) == (1, 1, 0)
    assert rate.difference == pytest.approx((0.2 + 0.075 - 0.2) / 3)


def test_the_figure_has_every_group_once_in_its_legend_and_bars_only_for_macro_f1() -> None:
    rows = table(
        {"layer": 1, "macro_f1_low": 0.4, "macro_f1_high": 0.7},
        {"layer": 2, "dataset": "e"},
        {"layer": 2, "source": "hidden", "dataset": "e"},
        {"layer": None, "source": "tfidf", "dataset": "e"},
    )
    view = View("macro_f1", "layer", "source", "task")
    figure = comparison_figure(best_per_cell(rows, view.keys).rows, view, NAMES)
    assert sorted(trace.name for trace in figure.data if trace.showlegend) == [
        "SAE features",
        "TF-IDF",
        "hidden states",
    ]
    first = next(trace for trace in figure.data if trace.error_y.array is not None and trace.y[0] == 0.5)
    assert (first.error_y.array[0], first.error_y.arrayminus[0]) == (pytest.approx(0.2), pytest.approx(0.1))
    dotted = [trace for trace in figure.data if trace.mode == "lines"]
    assert len(dotted) == 1  # TF-IDF has no layer, so its score is a line
    view = View("accuracy", "layer", "", "")
    figure = comparison_figure(best_per_cell(rows, view.keys).rows, view, NAMES | {"accuracy": "accuracy"})
    assert all(trace.error_y.array is None for trace in figure.data)
