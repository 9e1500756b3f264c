"""The terms of the TF-IDF baseline: words, words and runs of characters, or runs alone where no spaces part words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import FeatureUnion

from saefari.errors import DataError
from saefari.names import character_term

Counter: TypeAlias = CountVectorizer | FeatureUnion

MIN_DF = 2
"""Rows that a term must occur in."""
WORDS, WORDS_AND_CHARACTERS, CHARACTERS = "words", "words and characters", "characters"
"""What is counted: words and pairs of words; these and runs of 3 to 5 characters within words; runs of 1 to 3."""
_LEAST_SHARE = 0.25
"""Of all letters, in words that recur: 100 European tweets have 0.3 and more, Chinese and Japanese messages 0.24."""


def count_terms(texts: Sequence[str]) -> dict[str, tuple[Counter, sparse.csr_array]]:
    """Fitted counters and their counts, float32 [n_texts, n_terms], under the name of what they count.

    Words, and words and characters together; where hardly any word recurs (Chinese or Japanese, texts of one
    character), characters alone. Raises DataError where those do not recur either (blank texts).
    """
    words = _counted(CountVectorizer(ngram_range=(1, 2), min_df=MIN_DF, dtype=np.float32), texts)
    if words is not None and _share_in_words(*words, texts) >= _LEAST_SHARE:
        found: dict[str, tuple[Counter, sparse.csr_array]] = {WORDS: words}
        runs = _counted(_character_counter(3, 5), texts)
        if runs is not None:
            both = FeatureUnion([("words", words[0]), ("characters", runs[0])])
            found[WORDS_AND_CHARACTERS] = both, sparse.csr_array(sparse.hstack([words[1], runs[1]], format="csr"))
        return found
    runs = _counted(_character_counter(1, 3), texts)
    if runs is None:
        raise DataError("no word or character occurs in two training texts: there is nothing to classify texts by")
    return {CHARACTERS: runs}


def term_names(counter: Counter) -> list[str]:
    """What each term of a fitted counter is called: a word as it is, a run of characters by `character_term`."""
    parts = [part for _, part in counter.transformer_list] if isinstance(counter, FeatureUnion) else [counter]
    names: list[str] = []
    for part in parts:
        terms = part.get_feature_names_out().tolist()
        names += terms if part.analyzer == "word" else [character_term(run) for run in terms]
    return names


def _character_counter(shortest: int, longest: int) -> CountVectorizer:
    return CountVectorizer(analyzer="char_wb", ngram_range=(shortest, longest), min_df=MIN_DF, dtype=np.float32)


def _counted(counter: CountVectorizer, texts: Sequence[str]) -> tuple[CountVectorizer, sparse.csr_array] | None:
    """The counter, fitted, and its counts; None where there is no term at all, or none that recurs."""
    try:
        return counter, sparse.csr_array(counter.fit_transform(texts))
    except ValueError:
        return None


def _share_in_words(counter: CountVectorizer, counts: sparse.csr_array, texts: Sequence[str]) -> float:
    """Share of the texts' letters and digits that are in counted words."""
    lengths = [0 if " " in term else len(term) for term in counter.get_feature_names_out()]
    n_letters = sum(len(re.findall(r"\w", text)) for text in texts)
    return float((counts @ np.asarray(lengths)).sum()) / n_letters
