"""Numbers of the record and the table against SciPy and a plain computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from saefari.store import Layout
from tests.report.explanations.tree import MODEL, RANDOM, examples, write_explanations

FIRST = {3: (0.9, 0.55), 5: (0.7, 0.5), 8: (0.8, 0.45), 9: (0.6, None), 11: (0.95, 0.6)}
SECOND = {3: (0.8, 0.5), 5: (0.75, 0.4), 8: None, 9: (0.5, 0.5), 11: (0.7, 0.3)}


def test_means_and_intervals(tmp_path: Path) -> None:
    scores = write_explanations(tmp_path, {"embedding": FIRST, "detection": SECOND})["scores"]
    one = scores["embedding"]
    values = [value for value, _ in FIRST.values()]
    paired = [(value, other) for value, other in FIRST.values() if other is not None]
    assert (one["mean"], one["n"], one["chance"]) == (pytest.approx(np.mean(values)), 5, 0.5)
    assert one["interval"] == pytest.approx(
        list(stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values)))
    )
    assert one["shuffled"]["mean"] == pytest.approx(np.mean([other for _, other in paired]))
    test = stats.ttest_rel(*zip(*paired, strict=True))
    assert one["above_shuffled"]["mean"] == pytest.approx(np.mean([value - other for value, other in paired]))
    assert one["above_shuffled"]["interval"] == pytest.approx(list(test.confidence_interval(0.95)))
    assert one["random_sae"]["mean"] == pytest.approx(np.mean(RANDOM))
    assert one["random_sae"]["n"] == len(RANDOM)
    assert one["above_random_sae"]["mean"] == pytest.approx(np.mean(values) - np.mean(RANDOM))
    welch = stats.ttest_ind(values, RANDOM, equal_var=False).confidence_interval(0.95)
    assert one["above_random_sae"]["interval"] == pytest.approx(list(welch), abs=0.02)
    assert one["firing_rate_spearman"] == pytest.approx(stats.spearmanr(values, [i + 1 for i in FIRST]).statistic)
    assert one["is_above_controls"]
    assert scores["detection"]["n"] == 4


def test_agreement_of_scorers_is_over_latents_that_both_scored(tmp_path: Path) -> None:
    record = write_explanations(tmp_path, {"embedding": FIRST, "detection": SECOND})
    both = [latent for latent in FIRST if SECOND[latent]]
    expected = stats.spearmanr([FIRST[i][0] for i in both], [SECOND[i][0] for i in both])  # type: ignore[index]
    assert record["spearman"]["embedding, detection"]["value"] == pytest.approx(expected.statistic)


def test_without_controls_there_are_none(tmp_path: Path) -> None:
    scores = write_explanations(tmp_path, {"embedding": {1: (0.9, None), 2: (0.8, None)}}, random=())["scores"]
    assert not {"shuffled", "random_sae", "above_shuffled", "above_random_sae"} & set(scores["embedding"])
    assert not scores["embedding"]["is_above_controls"]


def test_a_scorer_that_scored_nothing_has_no_summary(tmp_path: Path) -> None:
    record = write_explanations(tmp_path, {"embedding": {1: (0.9, 0.5)}, "detection": {1: None}})
    assert list(record["scores"]) == ["embedding"]
    assert record["spearman"]["embedding, detection"]["value"] is None


def test_the_table(tmp_path: Path) -> None:
    classes = {"large": (5, 100), "small": (4, 10), "empty": (0, 0)}
    write_explanations(tmp_path, {"embedding": FIRST, "detection": SECOND}, classes=classes)
    folder = Layout.below(tmp_path).explanation(MODEL, 3, "3k")
    rows = {row["latent"]: row for row in pq.read_table(folder / "explanations.parquet").to_pylist()}
    assert list(rows) == list(FIRST)
    one = rows[8]
    assert (one["name"], one["explanation"], one["explainer"], one["model"]) == ("name 8", "Sentence 8.", "lexical", "")
    assert (one["n_rows"], one["n_activations"], one["density"], one["version"]) == (12, 30, 0.009, 1)
    assert one["top_class"] == "small"
    assert (one["n_explain"], one["n_test"], one["n_inactive"], one["n_explain_inactive"]) == (1, 1, 0, 0)
    assert (one["score:embedding"], one["shuffled:embedding"]) == (0.8, 0.45)
    assert (one["low:embedding"], one["high:embedding"]) == pytest.approx((0.7, 0.85))
    assert [one[f"{key}:detection"] for key in ("score", "low", "high", "shuffled")] == [None] * 4
    assert rows[9]["shuffled:embedding"] is None


def test_without_latents_there_is_an_empty_record(tmp_path: Path) -> None:
    record = write_explanations(tmp_path, {"embedding": {}}, too_few=[(4, 2)])
    assert (record["n_explained"], record["scores"], record["too_few"]) == (0, {}, [[4, 2]])


def test_contexts_in_a_latents_file_are_places(tmp_path: Path) -> None:
    from saefari.interp.latent_file import write_latent
    from saefari.store.files import read_json

    write_latent(tmp_path, examples(7), [], {}, {"inputs": "x"})
    record = read_json(tmp_path / "7.json")
    assert record["contexts"]["explain"] == [["news/train", 7, 2, 2]]
    assert "name" not in record
