"""Where terms stand in a text, and that what they contributed is shared out whole."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from app.data.samples.terms import term_values

TEXT = "Zoë's cat, a CAT of İzmir: the cat sat on 猫 mats x 12"


def test_words_and_pairs_are_found_where_they_stand() -> None:
    spans, values = term_values("A big cat saw a cat.", {"cat": 1.0, "big cat": 0.5, "dog": 9.0}, words=True)
    assert spans.tolist() == [[2, 5], [6, 9], [16, 19]]
    assert values.tolist() == [0.25, 0.75, 0.5]


def test_a_pair_spans_words_that_the_counter_leaves_out() -> None:
    spans, _ = term_values("cat a dog", {"cat dog": 1.0}, words=True)
    assert spans.tolist() == [[0, 3], [6, 9]]


@pytest.mark.parametrize(
    ("words", "counter"),
    [
        (True, CountVectorizer(ngram_range=(1, 2))),
        (False, CountVectorizer(analyzer="char_wb", ngram_range=(1, 3))),
    ],
)
def test_every_term_of_the_counter_is_found(words: bool, counter: CountVectorizer) -> None:
    text = TEXT.replace("İ", "I")
    terms = counter.fit([text]).get_feature_names_out().tolist()
    pushed = dict(zip(terms, np.random.default_rng(0).normal(size=len(terms)).tolist(), strict=True))
    blank = {" "} & set(terms)  # covers no character of its own
    _, values = term_values(text, pushed, words)
    assert values.sum() == pytest.approx(sum(pushed.values()) - sum(pushed[term] for term in blank))


def test_letters_that_grow_in_lower_case_do_not_move_what_follows() -> None:
    spans, _ = term_values("İİİİ cat", {"cat": 1.0}, words=True)
    assert spans.tolist() == [[5, 8]]


def test_a_text_without_terms_has_no_places() -> None:
    spans, values = term_values("", {"cat": 1.0}, words=True)
    assert spans.shape == (0, 2)
    assert len(values) == 0
