"""The terms of the TF-IDF baseline: words, or pieces of words where a language does not separate words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from saefari.errors import DataError

MIN_DF = 2
"""Rows that a term must occur in."""
_LEAST_SHARE = 0.25
"""Of all letters, in words that recur: 100 European tweets have 0.3 and more, Chinese and Japanese messages 0.24."""


def count_terms(texts: Sequence[str]) -> tuple[CountVectorizer, sparse.csr_array]:
    """A fitted counter and its counts, float32 [n_texts, n_terms].

    Words and pairs of words; where hardly any word recurs (Chinese or Japanese, texts of one character), runs of one
    to three characters. Raises DataError where those do not recur either (blank texts).
    """
    for counter in (
        CountVectorizer(ngram_range=(1, 2), min_df=MIN_DF, dtype=np.float32),
        CountVectorizer(analyzer="char_wb", ngram_range=(1, 3), min_df=MIN_DF, dtype=np.float32),
    ):
        try:
            counts = sparse.csr_array(counter.fit_transform(texts))
        except ValueError:  # no term at all, or none that recurs
            continue
        if counter.analyzer != "word" or _share_in_words(counter, counts, texts) >= _LEAST_SHARE:
            return counter, counts
    raise DataError("no word or character occurs in two training texts: there is nothing to classify texts by")


def _share_in_words(counter: CountVectorizer, counts: sparse.csr_array, texts: Sequence[str]) -> float:
    """Share of the texts' letters and digits that are in counted words."""
    lengths = [0 if " " in term else len(term) for term in counter.get_feature_names_out()]
    n_letters = sum(len(re.findall(r"\w", text)) for text in texts)
    return float((counts @ np.asarray(lengths)).sum()) / n_letters
