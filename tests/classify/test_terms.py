"""Terms of the TF-IDF baseline, in languages with and without spaces between words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saefari.classify.decisions import load_classifier
from saefari.classify.run import run_classify_job
from saefari.classify.terms import CHARACTERS, WORDS, WORDS_AND_CHARACTERS, count_terms, term_names
from saefari.errors import DataError
from saefari.store import read_result

from .conftest import MakeJob, every_fifth_tests, make_rows, write_rows

PRAISE, BLAME = "很好喜欢满意推荐优秀", "太差失望退货糟糕讨厌"


def chinese(n_rows: int) -> list[str]:
    """Texts without spaces, no two with the same words; even rows are praise, odd rows are blame."""
    generator = np.random.default_rng(0)
    common = list("这家酒店的服务房间早餐质量物流手机屏幕电池")
    return ["".join(generator.permutation([*common, *(PRAISE, BLAME)[i % 2]])) for i in range(n_rows)]


def test_words_alone_and_with_characters() -> None:
    counted = count_terms(["the red house", "the red car", "a blue car"])
    assert list(counted) == [WORDS, WORDS_AND_CHARACTERS]
    counter, counts = counted[WORDS]
    assert term_names(counter) == ["car", "red", "the", "the red"]
    assert counts.shape == (3, 4)
    counter, counts = counted[WORDS_AND_CHARACTERS]
    names = term_names(counter)
    assert names[:4] == ["car", "red", "the", "the red"]
    assert {'"␣red"', '"car␣"', '"␣the␣"'} <= set(names[4:])
    assert counts.shape == (3, len(names))
    np.testing.assert_array_equal(counter.transform(["a red car"]).toarray()[0, :4], [1, 1, 0, 0])


@pytest.mark.parametrize(
    "texts",
    [chinese(40), ["a", "b", "a", "b"], ["今日は晴れ。", "明日も晴れ。"], [*chinese(40), "很好", "很好"]],
    ids=["chinese", "one character", "japanese", "one word recurs"],
)
def test_characters_if_few_words_recur(texts: list[str]) -> None:
    ((kind, (counter, counts)),) = count_terms(texts).items()
    assert kind == CHARACTERS
    assert counts.shape[1] == len(term_names(counter)) > 1


@pytest.mark.parametrize("texts", [["", " ", ""], ["x", "", ""]])
def test_blank_texts_are_an_error(texts: list[str]) -> None:
    with pytest.raises(DataError, match="no word or character occurs in two"):
        count_terms(texts)


def test_chinese_texts_are_classified_by_characters(make_job: MakeJob, tmp_path: Path) -> None:
    rows = replace(make_rows(120, 2, seed=1), texts=chinese(120))
    write_rows(tmp_path, rows, every_fifth_tests(120, 2))
    job = make_job("tfidf", samples=tmp_path)
    assert run_classify_job(job).failures == []
    for scores in read_result(job.out / "tfidf")["classifiers"].values():
        assert scores["macro_f1"] > 0.9
        assert scores["chosen"]["terms"] == CHARACTERS


def test_terms_come_from_training_texts(make_job: MakeJob, tmp_path: Path) -> None:
    parts, rows = every_fifth_tests(240, 4), make_rows(240, 4, seed=1)
    texts = [chinese(1)[0] * 50 if part else text for text, part in zip(rows.texts, parts, strict=True)]
    write_rows(tmp_path, replace(rows, texts=texts), parts)
    job = make_job("tfidf", samples=tmp_path)
    assert run_classify_job(job).failures == []
    assert read_result(job.out / "tfidf")["classifiers"]["tree"]["chosen"]["terms"] == WORDS


def test_cross_validation_chooses_characters_if_endings_separate_the_classes(make_job: MakeJob, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    stems = ["".join(generator.choice(list("bdfgklmn"), 6)) for _ in range(900)]
    texts = [" ".join(["word", *(s + ("ing", "ed")[i % 2] for s in stems[3 * i : 3 * i + 3])]) for i in range(240)]
    texts = [f"{text} another common word" for text in texts]
    write_rows(tmp_path, replace(make_rows(240, 2, seed=1), texts=texts), every_fifth_tests(240, 2))
    job = make_job("tfidf", samples=tmp_path)
    assert run_classify_job(job).failures == []
    result = read_result(job.out / "tfidf")["classifiers"]
    linear = result["linear"]
    assert linear["chosen"]["terms"] == WORDS_AND_CHARACTERS
    assert {one["terms"] for one in linear["candidates"]} == {WORDS, WORDS_AND_CHARACTERS}
    assert linear["macro_f1"] > 0.95
    assert any(feature["name"] == '"ing␣"' for feature in linear["top_features"]["class 00"])
    assert result["tree"]["chosen"]["terms"] == WORDS
    rows = load_classifier(job.out / "tfidf", "linear")
    assert rows.terms is not None
    assert len(rows.terms) == linear["n_features"]
