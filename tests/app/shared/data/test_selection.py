"""Selection by cross-validation, and pairs of the best SAE setting and baseline."""

from __future__ import annotations

import pandas as pd
import pytest

from app.shared.data.selection import best_pairs, best_rows, with_tasks


def table(*rows: tuple[str, str, float, float | None]) -> pd.DataFrame:
    """Rows of (dataset, source, macro-F1, CV macro-F1) with an interval of 0.1 to both sides."""
    frame = pd.DataFrame(rows, columns=["dataset", "source", "macro_f1", "cv_macro_f1"]).astype({"cv_macro_f1": float})
    bounds = {"macro_f1_low": frame.macro_f1 - 0.1, "macro_f1_high": frame.macro_f1 + 0.1}
    return with_tasks(frame.assign(config="", split="train", text_field="", **bounds))


def test_the_test_score_selects_nothing() -> None:
    rows = table(("d", "sae", 0.9, 0.5), ("d", "sae", 0.6, 0.6), ("d", "tfidf", 0.7, 0.7))
    [pair] = best_pairs(rows)
    assert pair.sae is not None
    assert pair.sae.macro_f1 == 0.6
    assert pair.difference == pytest.approx(-0.1)
    assert pair.overlap is True


def test_the_best_baseline_is_compared_and_intervals_can_be_separate() -> None:
    rows = table(
        ("d", "sae", 0.9, 0.9), ("d", "tfidf", 0.5, 0.4), ("d", "hidden", 0.6, 0.5), ("d", "random_sae", 0.3, 0.3)
    )
    [pair] = best_pairs(rows)
    assert pair.baseline is not None
    assert pair.baseline.source == "hidden"
    assert pair.overlap is False


def test_a_missing_side_or_score_is_no_verdict() -> None:
    [pair] = best_pairs(table(("d", "sae", 0.9, 0.9)))
    assert (pair.baseline, pair.difference, pair.overlap) == (None, None, None)
    unknown = table(("d", "sae", 0.9, 0.9), ("d", "tfidf", 0.5, 0.4)).assign(macro_f1_low=None)
    assert best_pairs(unknown)[0].overlap is None


def test_without_cross_validation_the_test_score_selects_and_is_marked() -> None:
    rows = table(("d", "sae", 0.9, None), ("d", "sae", 0.8, None), ("d", "tfidf", 0.5, 0.4), ("d", "hidden", 0.7, None))
    [pair] = best_pairs(rows)
    assert pair.sae is not None
    assert pair.baseline is not None
    assert (pair.sae.macro_f1, pair.sae.by_test) == (0.9, True)
    assert (pair.baseline.source, pair.baseline.by_test) == ("tfidf", False)
    assert pair.by_test is True
    assert best_rows(rows[:0], ["dataset"]).empty


def test_the_text_column_is_named_only_if_a_split_has_several_tasks() -> None:
    rows = table(*[("d", "sae", 0.5, 0.5)] * 4).assign(text_field=["text", "", "text", "translation"])
    assert list(with_tasks(rows).task) == ["d/train (text)", "d/train", "d/train (text)", "d/train (translation)"]
    assert set(with_tasks(rows[:3]).task) == {"d/train"}
    rows["config"] = ["", "", "english", ""]
    assert list(with_tasks(rows).task)[2] == "d/english/train"
