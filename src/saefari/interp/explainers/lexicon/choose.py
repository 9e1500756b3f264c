"""Choice of the few terms that describe a latent: the most specific ones that cover most of its activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from saefari.interp.explainers.lexicon.background import Term
from saefari.interp.explainers.lexicon.evidence import Evidence, Found
from saefari.interp.explainers.lexicon.log_odds import log_odds
from saefari.interp.explainers.lexicon.units import stem

_PREFERENCE = {
    "word": 1.0,
    "stem": 0.99,
    "token": 0.97,
    "pair": 0.93,
    "piece": 0.93,
    "first": 0.9,
    "prefix": 0.85,
    "suffix": 0.85,
    "sentence": 0.85,
    "kind": 0.85,
    "gap": 0.8,
}
"""Kind of term -> factor of its score; a simpler description is preferred to one that says hardly more."""
_AROUND = {"after": 0.7, "before": 0.7, "topic": 0.55}
"""The same for terms about the surroundings, which describe a latent only if they cover half of it."""
_LEAST = {"prefix": (0.12, 2.0), "suffix": (0.15, 1.8), "kind": (0.2, 1.5), "gap": (0.3, 3.0)} | dict.fromkeys(
    _AROUND, (0.5, 1.5)
)
"""Kind of term -> least coverage and least log-odds ratio. For the other kinds:"""
_LEAST_FIRST, _LEAST_MORE, _LEAST_RATIO = 0.12, 0.07, 1.2
_ENOUGH = 0.9
_MOST_TERMS = 4
_SAME_WORD = 0.7
"""A part of one word is no pattern: no word may have a larger share of it."""
_ALWAYS, _MIN_PAIR_Z = 0.8, 2.0
"""A pair is preferred to its word if the word has that neighbour nearly everywhere, or more often than elsewhere."""


def choose(evidence: Evidence, among: frozenset[int]) -> list[Found]:
    """Return up to four terms for some events, each of which covers activations that those before it do not.

    The score of a term is its coverage (share of the activations) times its log-odds ratio: what it contributes to the
    divergence between active positions and the corpus.
    """
    whole = evidence.covered(among)
    first = _best(evidence, among, {**_PREFERENCE, **_AROUND}, _LEAST_FIRST * whole)
    if first is None:
        return []
    chosen, rest = [first], among - first.events
    while len(chosen) < _MOST_TERMS and rest and evidence.covered(rest) > (1 - _ENOUGH) * whole:
        more = _best(evidence, rest, _PREFERENCE, _LEAST_MORE * whole)
        if more is None:
            break
        chosen.append(more)
        rest -= more.events
    return _without_repeats(chosen)


def _without_repeats(chosen: list[Found]) -> list[Found]:
    """Return the terms with a word piece and the same ending of words as one, the ending."""
    kept: list[Found] = []
    for one in chosen:
        same = [i for i, other in enumerate(kept) if {one.term[0], other.term[0]} == {"piece", "suffix"}]
        same = [i for i in same if one.term[1].endswith(kept[i].term[1]) or kept[i].term[1].endswith(one.term[1])]
        if not same:
            kept.append(one)
            continue
        other = kept[same[0]]
        term = min(one.term, other.term, key=lambda term: (len(term[1]), term[0] == "piece"))
        events, coverage = one.events | other.events, one.coverage + other.coverage
        kept[same[0]] = Found(("suffix", term[1]), events, coverage, max(one.ratio, other.ratio))
    return kept


def _best(evidence: Evidence, among: frozenset[int], preference: dict[str, float], least: float) -> Found | None:
    terms = {term for event in among for term in evidence.events[event].terms if term[0] in preference}
    found = [
        one for one in evidence.found(_frequent(evidence, terms, among), among) if _is_enough(evidence, one, least)
    ]
    return max(found, key=lambda one: (one.coverage * one.ratio * preference[one.term[0]], one.term), default=None)


def _frequent(evidence: Evidence, terms: Iterable[Term], among: frozenset[int]) -> list[Term]:
    """Return the terms with more than one event, sorted; most terms have one and are no candidates."""
    several = 1 if len(among) < 4 else 2
    return sorted(term for term in terms if len(evidence.index[term]) >= several)


def _is_enough(evidence: Evidence, found: Found, least: float) -> bool:
    """Whether a term covers enough, says enough, and is a pattern if it is a beginning or ending."""
    coverage, ratio = _LEAST.get(found.term[0], (least, _LEAST_RATIO))
    if found.coverage < max(coverage, least) or found.ratio < ratio:
        return False
    if found.term[0] in ("pair", "gap"):
        return _says_more_than_word(evidence, found)
    return found.term[0] not in ("prefix", "suffix", "piece") or _is_pattern(evidence, found)


def _says_more_than_word(evidence: Evidence, found: Found) -> bool:
    """Whether the active word of a pair is elsewhere more often without its neighbour, or never is."""
    words = Counter(evidence.events[event].unit.casefold() for event in found.events)
    word = max(words, key=lambda one: (words[one], one))
    n_pair = len({evidence.events[event].context for event in found.events})
    n_word = len({evidence.events[event].context for event in evidence.index["word", word]} | {-1}) - 1
    count, places = evidence.background.count(found.term)[0], evidence.background.count(("word", word))[0]
    count, places = max(count, n_pair), max(places, count + 1, n_word)
    if count >= _ALWAYS * places:
        return n_pair >= _ALWAYS * n_word
    return log_odds(n_pair, max(n_word, n_pair), count, max(places, count + 1))[1] >= _MIN_PAIR_Z


def _is_pattern(evidence: Evidence, found: Found) -> bool:
    """Whether a part of words is that of several different ones, none of which dominates."""
    shares: dict[str, float] = {}
    for event in found.events:
        key = stem(evidence.events[event].unit.casefold())
        shares[key] = shares.get(key, 0.0) + evidence.events[event].weight
    least = 3 if found.term[0] == "suffix" or len(found.term[1]) < 4 else 2
    return len(shares) >= least and max(shares.values()) <= _SAME_WORD * found.coverage
