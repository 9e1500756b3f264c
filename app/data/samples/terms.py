"""Where the terms of the TF-IDF baseline stand in a text, and what each place contributed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

_WORD = re.compile(r"(?u)\b\w\w+\b")
"""What scikit-learn's counter takes for a word."""
_LONGEST_RUN = 3
Span = tuple[int, int]


def term_values(text: str, contributions: Mapping[str, float], words: bool) -> tuple[np.ndarray, np.ndarray]:
    """(spans int64 [n, 2], values float64 [n]) of the words or characters that are part of a term.

    contributions: term -> what it added to a logit. words: terms are words and pairs of words; else runs of up to
    three characters within words. A term's contribution is shared out evenly among the places that it covers, so the
    values add up to the contributions of the terms that are found.
    """
    lowered = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
    covered: dict[str, list[Span]] = {}
    for term, spans in _word_terms(lowered) if words else _character_terms(lowered):
        if term in contributions:
            covered.setdefault(term, []).extend(spans)
    values: dict[Span, float] = {}
    for term, spans in covered.items():
        for span in spans:
            values[span] = values.get(span, 0.0) + contributions[term] / len(spans)
    order = sorted(values)
    return np.asarray(order, dtype=np.int64).reshape(-1, 2), np.asarray([values[span] for span in order])


def _word_terms(text: str) -> Iterator[tuple[str, Sequence[Span]]]:
    found = [(match.group(), match.span()) for match in _WORD.finditer(text)]
    for word, span in found:
        yield word, [span]
    for (first, start), (second, stop) in pairwise(found):
        yield f"{first} {second}", [start, stop]


def _character_terms(text: str) -> Iterator[tuple[str, Sequence[Span]]]:
    """Runs of characters of each word, which counts as having a blank before and after it."""
    for match in re.finditer(r"\S+", text):
        padded = f" {match.group()} "
        for length in range(1, _LONGEST_RUN + 1):
            for start in range(len(padded) - length + 1):
                inside = range(max(start, 1), min(start + length, len(padded) - 1))
                yield padded[start : start + length], [(match.start() + i - 1, match.start() + i) for i in inside]
