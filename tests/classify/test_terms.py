"""The TF-IDF baseline's terms, in languages that separate words and in those that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saefari.classify.run import run_classify_job
from saefari.classify.terms import count_terms
from saefari.errors import DataError
from saefari.store import read_result

from .conftest import MakeJob, every_fifth_tests, make_rows, write_rows

PRAISE, BLAME = "很好喜欢满意推荐优秀", "太差失望退货糟糕讨厌"


def chinese(n_rows: int) -> list[str]:
    """Even rows praise, odd rows blame, without spaces and never in the same words twice."""
    generator = np.random.default_rng(0)
    common = list("这家酒店的服务房间早餐质量物流手机屏幕电池")
    return ["".join(generator.permutation([*common, *(PRAISE, BLAME)[i % 2]])) for i in range(n_rows)]


def test_words_and_pairs_of_words_where_there_are_words() -> None:
    counter, counts = count_terms(["the red house", "the red car", "a blue car"])
    assert counter.get_feature_names_out().tolist() == ["car", "red", "the", "the red"]
    assert counts.shape == (3, 4)


@pytest.mark.parametrize(
    "texts",
    [chinese(40), ["a", "b", "a", "b"], ["今日は晴れ。", "明日も晴れ。"], [*chinese(40), "很好", "很好"]],
    ids=["chinese", "one character", "japanese", "one word recurs"],
)
def test_characters_where_hardly_any_word_recurs(texts: list[str]) -> None:
    counter, counts = count_terms(texts)
    assert counter.analyzer == "char_wb"
    assert counts.shape[1] > 1


@pytest.mark.parametrize("texts", [["", " ", ""], ["x", "", ""]])
def test_blank_texts_are_a_mistake_that_says_so(texts: list[str]) -> None:
    with pytest.raises(DataError, match="no word or character occurs in two"):
        count_terms(texts)


def test_chinese_texts_are_told_apart_and_the_analyzer_recorded(make_job: MakeJob, tmp_path: Path) -> None:
    rows = replace(make_rows(120, 2, seed=1), texts=chinese(120))
    write_rows(tmp_path, rows, every_fifth_tests(120, 2))
    job = make_job("tfidf", samples=tmp_path)
    assert run_classify_job(job).failures == []
    for scores in read_result(job.out / "tfidf")["classifiers"].values():
        assert scores["macro_f1"] > 0.9
        assert scores["chosen"]["analyzer"] == "char_wb"


def test_test_texts_do_not_decide_what_a_term_is(make_job: MakeJob, tmp_path: Path) -> None:
    parts, rows = every_fifth_tests(240, 4), make_rows(240, 4, seed=1)
    texts = [chinese(1)[0] * 50 if part else text for text, part in zip(rows.texts, parts, strict=True)]
    write_rows(tmp_path, replace(rows, texts=texts), parts)
    job = make_job("tfidf", samples=tmp_path)
    assert run_classify_job(job).failures == []
    assert read_result(job.out / "tfidf")["classifiers"]["linear"]["chosen"]["analyzer"] == "word"
