"""Frequencies of words, word parts, pairs, tokens and kinds in a whole corpus, counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

from saefari.interp.explainers.lexicon.units import is_word, kinds, starts_sentence, stem, unit_texts

Term: TypeAlias = tuple[str, ...]
"""A kind of term and its content: ("word", "feature"), ("pair", "random", "state"), ("suffix", "ing") …"""

GAPS = (2, 3)
"""Distances of the words of ("gap", x, y)."""
PREFIXES, SUFFIXES = range(3, 8), range(2, 6)
"""Lengths of word beginnings and endings that are counted."""
FIRST, SENTENCE = ("first",), ("sentence",)
"""The first position of a text, and the first word of a later sentence."""
_MOST_TERMS = 2_000_000
_WINDOW = 25
"""Units in a window of about 32 tokens, for ("topic", word): the word is anywhere in the window."""


class Background:
    """Counts of terms in a corpus.

    rows: (texts of a row's tokens, its class or None). most_terms: number of distinct words, and of pairs, to keep; if
    there are more, the rarest are dropped, so memory is bounded.
    """

    def __init__(self, rows: Iterable[tuple[Sequence[str], str | None]], most_terms: int = _MOST_TERMS) -> None:
        self._most_terms = most_terms
        self.n_rows = self.n_tokens = self.n_units = self.n_windows = 0
        words: Counter[str] = Counter()
        tokens: Counter[str] = Counter()
        topics: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        gaps: Counter[tuple[str, str]] = Counter()
        self.n_sentences = 0
        for row, _ in rows:
            self.n_rows += 1
            self.n_tokens += len(row)
            written = unit_texts(row)
            lower = [unit.casefold() for unit in written]
            self.n_units += len(written)
            self.n_sentences += sum(starts_sentence(written, place) for place in range(1, len(written)))
            words.update(written)
            tokens.update(token.strip().casefold() for token in row)
            pairs.update(pairwise(lower))
            for distance in GAPS:
                gaps.update(zip(lower, lower[distance:], strict=False))
            for start in range(0, len(lower), _WINDOW):
                topics.update(set(lower[start : start + _WINDOW]))
                self.n_windows += 1
            for counter in (words, tokens, topics, pairs, gaps):
                self._prune(counter)
        self._pairs, self._gaps, self._tokens, self._topics = pairs, gaps, tokens, topics
        self._words: Counter[str] = Counter()
        self._parts: Counter[Term] = Counter()
        self._count_parts(words)

    def count(self, term: Term) -> tuple[float, float]:
        """Return (occurrences of a term, number of places where it could be). Unknown terms count as 0."""
        kind = term[0]
        if kind in ("word", "after", "before"):
            return self._words[term[1]], self.n_units
        if kind == "pair":
            return self._pairs[term[1], term[2]], self.n_units
        if kind == "gap":
            return self._gaps[term[1], term[2]], self.n_units
        if kind in ("piece", "token"):
            return self._tokens[term[1]], self.n_tokens
        if kind == "topic":
            return self._topics[term[1]], self.n_windows
        if term == FIRST:
            return self.n_rows, self.n_tokens
        if term == SENTENCE:
            return self.n_sentences, self.n_units
        return self._parts[term], self.n_units

    def _count_parts(self, words: Counter[str]) -> None:
        """Derive the counts of folded words, stems, beginnings, endings and kinds from the words as written."""
        for written, n in words.items():
            self._words[written.casefold()] += n
            for kind in kinds(written):
                self._parts["kind", kind] += n
        for word, n in self._words.items():
            for term in word_parts(word):
                self._parts[term] += n

    def _prune(self, counter: Counter[str] | Counter[tuple[str, str]]) -> None:
        """Drop the rarest half of a counter that is too large."""
        if len(counter) > self._most_terms:
            least = sorted(counter.values())[len(counter) // 2]
            for key in [key for key, n in counter.items() if n <= least]:
                del counter[key]


def word_parts(word: str) -> list[Term]:
    """Return the stem, beginnings and endings of a word; nothing for symbols and numbers."""
    if not is_word(word) or word.isdigit():
        return []
    prefixes = [("prefix", word[:n]) for n in PREFIXES if n < len(word)]
    return [("stem", stem(word)), *prefixes, *(("suffix", word[-n:]) for n in SUFFIXES if n < len(word))]
