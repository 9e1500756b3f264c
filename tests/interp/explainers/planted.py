"""Latents with a known meaning on real texts: contexts in which they are active, some of them by mistake."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np

from saefari.data.docstrings import paragraphs
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.records import Context, LatentExamples

Row = tuple[tuple[str, ...], str]
_TOKEN = re.compile(r"\s*(?:[^\W_]{1,6}|[\W_])")
"""Words in pieces of at most six letters, as word-piece tokenizers divide rare words."""


def tokens_of(text: str) -> tuple[str, ...]:
    """Divide a text into tokens that join to the text."""
    return tuple(_TOKEN.findall(text))


@lru_cache(maxsize=1)
def corpus() -> tuple[Row, ...]:
    """Return paragraphs of documentation: tokens and label. Only a part of python-docs, whose sources take long."""
    by_package = [
        [(tokens_of(paragraph.text), package) for paragraph in islice(paragraphs(package), 1200)]
        for package in ("numpy", "scipy", "sklearn", "pandas")
    ]
    return tuple(row for rows in zip(*by_package, strict=True) for row in rows)


@lru_cache(maxsize=1)
def background() -> Background:
    return Background(corpus())


def word_ends(row: Row) -> tuple[list[str], list[int]]:
    """Return the words of a row in lower case, and the last token of each."""
    bounds = np.cumsum([len(token) for token in row[0]])
    words = list(re.finditer(r"[^\W_]+(?:'[^\W_]+)*", "".join(row[0])))
    return [match.group().lower() for match in words], np.searchsorted(bounds, [m.end() for m in words]).tolist()


@lru_cache(maxsize=1)
def parsed() -> tuple[tuple[list[str], list[int]], ...]:
    """Return `word_ends` of every row of the corpus."""
    return tuple(map(word_ends, corpus()))


@lru_cache(maxsize=1)
def rows_of_words() -> dict[str, set[int]]:
    """Return word -> rows of the corpus that hold it."""
    found: dict[str, set[int]] = {}
    for row, (words, _) in enumerate(parsed()):
        for word in words:
            found.setdefault(word, set()).add(row)
    return found


def planted(
    fires: Callable[[Sequence[str], int], bool],
    seed: int,
    n: int = 40,
    stray: float = 0.1,
    latent: int = 0,
    word: str | None = None,
) -> LatentExamples:
    """Return the examples of a latent that fires on the last token of some words of a row, and on random tokens.

    fires: (words of a row, place of one) -> whether the latent fires there. stray: share of the contexts in which it
    fires on a random token instead. word: one that is in every row where it fires (saves time).
    """
    rng = np.random.default_rng(seed)
    rows = corpus()
    contexts: list[Context] = []
    for place in rng.permutation(len(rows)).tolist():
        words, last_tokens = parsed()[place]
        may_fire = word is None or place in rows_of_words()[word]
        active = [last_tokens[i] for i in range(len(words)) if may_fire and fires(words, i)]
        is_stray = len(contexts) < stray * n
        if is_stray and not active:
            active = [int(rng.integers(len(rows[place][0])))]
        elif is_stray or not active:
            continue
        contexts.append(_context(rows[place], place, active, rng, weak=is_stray))
        if len(contexts) == n:
            break
    counts = Counter(context.label for context in contexts)
    totals = Counter(label for _, label in rows)
    class_rows = {label: (counts[label], totals[label]) for label in sorted(totals)}
    return LatentExamples(latent, tuple(contexts), (), np.zeros(0, np.int8), (), class_rows=class_rows, density=1e-3)


def _context(row: Row, number: int, active: Sequence[int], rng: np.random.Generator, weak: bool) -> Context:
    values = np.zeros(len(row[0]), np.float32)
    values[list(active)] = rng.uniform(0.5, 1.5 if weak else 3.0, len(active))
    start = max(0, min(int(values.argmax()) - 16, len(values) - 32))
    window = slice(start, start + 32)
    return Context("python-docs", number, start, row[0][window], values[window], row[1])


def counted(what: Callable[[Sequence[str], int], tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    """Count something at the words of the corpus, once per row."""
    counts: Counter[tuple[str, ...]] = Counter()
    for words, _ in parsed():
        counts.update({what(words, i) for i in range(len(words))})
    return counts
