"""Positions of TF-IDF terms in a text, and the sum of their contributions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import FeatureUnion

from app.pages.samples.data.terms import term_values
from saefari.classify.terms import Counter, term_names

TEXT = "Zoë's cat, a CAT of İzmir: the cat sat on 猫 mats x 12"


def test_words_and_pairs_are_found_at_their_positions() -> None:
    spans, values = term_values("A big cat saw a cat.", {"cat": 1.0, "big cat": 0.5, "dog": 9.0})
    assert spans.tolist() == [[2, 5], [6, 9], [16, 19]]
    assert values.tolist() == [0.25, 0.75, 0.5]


def test_a_pair_spans_words_that_the_vectorizer_ignores() -> None:
    spans, _ = term_values("cat a dog", {"cat dog": 1.0})
    assert spans.tolist() == [[0, 3], [6, 9]]


@pytest.mark.parametrize(
    "counter",
    [
        CountVectorizer(ngram_range=(1, 2)),
        CountVectorizer(analyzer="char_wb", ngram_range=(1, 3)),
        FeatureUnion(
            [
                ("words", CountVectorizer(ngram_range=(1, 2))),
                ("characters", CountVectorizer(analyzer="char_wb", ngram_range=(3, 5))),
            ]
        ),
    ],
    ids=["words", "characters", "both"],
)
def test_every_term_of_the_vectorizer_is_found(counter: Counter) -> None:
    text = TEXT.replace("İ", "I")
    terms = term_names(counter.fit([text]))
    pushed = dict(zip(terms, np.random.default_rng(0).normal(size=len(terms)).tolist(), strict=True))
    blank = {'"␣"'} & set(terms)  # covers no character of its own
    spans, values = term_values(text, pushed)
    assert values.sum() == pytest.approx(sum(pushed.values()) - sum(pushed[term] for term in blank))
    assert (spans[1:, 0] >= spans[:-1, 1]).all(), "places do not overlap"


def test_a_character_ngram_is_named_with_its_blanks() -> None:
    counter = CountVectorizer(analyzer="char_wb", ngram_range=(3, 3)).fit(["cat"])
    assert term_names(counter) == ['"␣ca"', '"at␣"', '"cat"']
    spans, values = term_values("A cat", {'"at␣"': 1.0})
    assert spans.tolist() == [[3, 4], [4, 5]]
    assert values.tolist() == [0.5, 0.5]


def test_letters_that_lengthen_in_lower_case_do_not_shift_later_spans() -> None:
    spans, _ = term_values("İİİİ cat", {"cat": 1.0})
    assert spans.tolist() == [[5, 8]]


def test_a_text_without_terms_has_no_places() -> None:
    spans, values = term_values("", {"cat": 1.0})
    assert spans.shape == (0, 2)
    assert len(values) == 0
