"""Terms of the TF-IDF baseline: words, words and character n-grams, or n-grams alone for languages without spaces."""

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
"""Minimum number of rows that a term must occur in."""
WORDS, WORDS_AND_CHARACTERS, CHARACTERS = "words", "words and characters", "characters"
"""Kinds of terms: words and bigrams; these and character 3- to 5-grams within words; character 1- to 3-grams."""
_LEAST_SHARE = 0.25
"""Share of letters in recurring words from which words are used: 100 European tweets have 0.3 or more, Chinese and
Japanese messages 0.24."""


def count_terms(texts: Sequence[str]) -> dict[str, tuple[Counter, sparse.csr_array]]:
    """Return fitted counters and their counts, float32 [n_texts, n_terms], by kind of term.

    Words, and words with character n-grams; n-grams alone if few words recur (Chinese or Japanese, texts of one
    character). Raises DataError if those do not recur either (blank texts).
    """
    words = _fit_counter(CountVectorizer(ngram_range=(1, 2), min_df=MIN_DF, dtype=np.float32), texts)
    if words is not None and _share_in_words(*words, texts) >= _LEAST_SHARE:
        found: dict[str, tuple[Counter, sparse.csr_array]] = {WORDS: words}
        runs = _fit_counter(_character_counter(3, 5), texts)
        if runs is not None:
            both = FeatureUnion([("words", words[0]), ("characters", runs[0])])
            found[WORDS_AND_CHARACTERS] = both, sparse.csr_array(sparse.hstack([words[1], runs[1]], format="csr"))
        return found
    runs = _fit_counter(_character_counter(1, 3), texts)
    if runs is None:
        raise DataError("no word or character occurs in two training texts, so texts cannot be classified by terms")
    return {CHARACTERS: runs}


def term_names(counter: Counter) -> list[str]:
    """Return the names of a fitted counter's terms: words unchanged, character n-grams by `character_term`."""
    parts = [part for _, part in counter.transformer_list] if isinstance(counter, FeatureUnion) else [counter]
    names: list[str] = []
    for part in parts:
        terms = part.get_feature_names_out().tolist()
        names += terms if part.analyzer == "word" else [character_term(ngram) for ngram in terms]
    return names


def _character_counter(shortest: int, longest: int) -> CountVectorizer:
    return CountVectorizer(analyzer="char_wb", ngram_range=(shortest, longest), min_df=MIN_DF, dtype=np.float32)


def _fit_counter(counter: CountVectorizer, texts: Sequence[str]) -> tuple[CountVectorizer, sparse.csr_array] | None:
    """Fit a counter and return it with its counts; None if no term recurs."""
    try:
        return counter, sparse.csr_array(counter.fit_transform(texts))
    except ValueError:
        return None


def _share_in_words(counter: CountVectorizer, counts: sparse.csr_array, texts: Sequence[str]) -> float:
    """Return the share of letters and digits that are in counted words."""
    lengths = [0 if " " in term else len(term) for term in counter.get_feature_names_out()]
    n_letters = sum(len(re.findall(r"\w", text)) for text in texts)
    return float((counts @ np.asarray(lengths)).sum()) / n_letters
