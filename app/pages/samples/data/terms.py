"""Positions of the TF-IDF baseline's terms in a text, and their contributions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise

import numpy as np

from saefari.names import character_term

_WORD = re.compile(r"(?u)\b\w\w+\b")
"""scikit-learn's definition of a word."""
Span = tuple[int, int]


def term_values(text: str, contributions: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """(spans int64 [n, 2], values float64 [n]) of the words or characters that are part of a term.

    contributions: term -> contribution to a logit. Terms are words and word pairs, character n-grams within words
    (named by `character_term`), or both; with n-grams every span is one character. A term's contribution is divided
    evenly among its spans, so the values sum to the contributions of the terms found.
    """
    lowered = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
    lengths = sorted({len(name) - 2 for name in contributions if name.startswith('"')})
    covered: dict[str, list[Span]] = {}
    for term, spans in chain(_word_terms(lowered), _character_terms(lowered, lengths)):
        if term in contributions:
            covered.setdefault(term, []).extend(_characters(spans) if lengths else spans)
    values: dict[Span, float] = {}
    for term, spans in covered.items():
        for span in spans:
            values[span] = values.get(span, 0.0) + contributions[term] / len(spans)
    order = sorted(values)
    return np.asarray(order, dtype=np.int64).reshape(-1, 2), np.asarray([values[span] for span in order])


def _characters(spans: Sequence[Span]) -> list[Span]:
    return [(place, place + 1) for start, stop in spans for place in range(start, stop)]


def _word_terms(text: str) -> Iterator[tuple[str, Sequence[Span]]]:
    found = [(match.group(), match.span()) for match in _WORD.finditer(text)]
    for word, span in found:
        yield word, [span]
    for (first, start), (second, stop) in pairwise(found):
        yield f"{first} {second}", [start, stop]


def _character_terms(text: str, lengths: Sequence[int]) -> Iterator[tuple[str, Sequence[Span]]]:
    """Character n-grams of each word, padded with a blank on both sides."""
    for match in re.finditer(r"\S+", text):
        padded = f" {match.group()} "
        for length in lengths:
            for start in range(max(len(padded) - length + 1, 1)):
                ngram = padded[start : start + length]
                inside = range(max(start, 1), min(start + length, len(padded) - 1))
                yield character_term(ngram), [(match.start() + i - 1, match.start() + i) for i in inside]
            if length >= len(padded):
                break  # as in scikit-learn, a short word counts once
