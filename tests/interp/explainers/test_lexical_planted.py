"""The lexical explainer finds the meaning of planted latents: words, pairs of words, word endings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from saefari.interp.explainers.lexical import LexicalExplainer
from tests.interp.explainers.planted import background, counted, planted

N_WORDS, N_PAIRS, N_ENDINGS = 80, 80, 40


def names(
    meanings: list[tuple[str, ...]], fires: Callable[..., bool], whole_words: bool = True
) -> list[tuple[tuple[str, ...], str]]:
    """Plant latents; return their meanings and names. whole_words: the last part of a meaning is a word."""
    explainer = LexicalExplainer(background())
    found = []
    for number, meaning in enumerate(meanings):
        word = meaning[-1] if whole_words else None
        examples = planted(lambda words, i, meaning=meaning: fires(words, i, meaning), number, word=word)
        found.append((meaning, explainer.describe(examples)[0]))
    return found


def missed(found: list[tuple[tuple[str, ...], str]]) -> list[tuple[tuple[str, ...], str]]:
    return [(meaning, name) for meaning, name in found if not all(part in name.lower() for part in meaning)]


def drawn(candidates: list[tuple[str, ...]], n: int) -> list[tuple[str, ...]]:
    order = np.random.default_rng(0).permutation(len(candidates))[:n]
    return [candidates[i] for i in order]


def test_planted_latents_are_named() -> None:
    """In at least 95% of 200 latents the name holds the word, both words of the pair, or the ending."""
    words = counted(lambda words, i: (words[i],))
    frequent = sorted(word for word, n in words.items() if n >= 40 and len(word[0]) > 1 and word[0].isalpha())
    missing = missed(names(drawn(frequent, N_WORDS), lambda words, i, meaning: words[i] == meaning[0]))

    pairs = counted(lambda words, i: (words[i - 1], words[i]) if i else ("", ""))
    both = sorted(p for p, n in pairs.items() if n >= 40 and n <= 0.5 * words[p[1],] and all(map(str.isalpha, p)))
    missing += missed(names(drawn(both, N_PAIRS), lambda words, i, meaning: i and (words[i - 1], words[i]) == meaning))

    endings = counted(lambda words, i: (words[i][-4:],) if len(words[i]) > 5 else ("",))
    stems = {e: {w[0] for w in words if len(w[0]) > 5 and w[0].endswith(e[0])} for e, n in endings.items() if n >= 60}
    several = sorted(ending for ending in stems if len(stems[ending]) >= 12 and ending[0].isalpha())
    assert len(several) >= N_ENDINGS
    endings_found = names(
        drawn(several, N_ENDINGS), lambda words, i, m: len(words[i]) > 5 and words[i].endswith(m[0]), False
    )
    missing += missed(endings_found)
    assert len(missing) <= 0.05 * (N_WORDS + N_PAIRS + N_ENDINGS), missing
