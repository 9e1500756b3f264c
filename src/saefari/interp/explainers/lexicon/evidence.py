"""Which terms describe the active positions of a latent, and how much of its activation each covers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from saefari.interp.explainers.lexicon.background import FIRST, GAPS, SENTENCE, Background, Term, word_parts
from saefari.interp.explainers.lexicon.log_odds import log_odds
from saefari.interp.explainers.lexicon.units import Units, is_word, kinds, split_units, starts_sentence
from saefari.interp.records import Context

_MIN_Z = 3.0
_MIN_CONTEXTS = 3
_LOWER_CASE = 0.2
"""Share of the activations from which a word is shown in lower case."""


@dataclass(frozen=True)
class Event:
    """An active position. context: number of its context. weight: its share of all activations. unit: its word or
    symbol as written, "" for white space. spans: pairs and gaps that it is in -> text from the first word to the last.
    """

    context: int
    weight: float
    unit: str
    terms: frozenset[Term]
    spans: dict[Term, str]


@dataclass
class Found:
    """A term that is more frequent at active positions than elsewhere.

    events: indices of the events that have it. coverage: their share of the activations. ratio: log-odds ratio.
    """

    term: Term
    events: frozenset[int]
    coverage: float
    ratio: float


@dataclass
class Evidence:
    """The events of a latent, and the words of the windows around them."""

    background: Background
    events: list[Event] = field(default_factory=list)
    index: dict[Term, list[int]] = field(default_factory=lambda: defaultdict(list))
    """term -> events."""

    def covered(self, events: Iterable[int]) -> float:
        """Share of the activations at some events."""
        return math.fsum(self.events[event].weight for event in events)  # exact, so in any order the same

    def found(self, terms: Iterable[Term], among: frozenset[int]) -> Iterator[Found]:
        """Yield the terms that are over-represented among some events, in at least three contexts.

        A latent with few contexts needs fewer.
        """
        total = self.covered(among)
        n_among = len({self.events[event].context for event in among})
        least = min(_MIN_CONTEXTS, max(2, n_among // 2)) if n_among > 1 else 1
        for term in terms:
            events = among.intersection(self.index[term])
            n = len({self.events[event].context for event in events})
            if n < least:
                continue
            coverage = self.covered(events)
            counted, places = self.background.count(term)
            count = max(counted, float(n))
            ratio, z = log_odds(coverage / total * n_among, n_among, count, max(places, 2 * count))
            if z >= _MIN_Z or (n_among < 2 * _MIN_CONTEXTS and ratio > 2):
                yield Found(term, events, coverage, ratio)

    def words(self, events: Iterable[int]) -> dict[str, float]:
        """Return the words and symbols at events with their shares of the activations; "" is white space.

        Words that differ only in case are one, in lower case if that is common.
        """
        written: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for event in sorted(events):
            unit = self.events[event].unit
            written[unit.casefold()][unit] += self.events[event].weight
        return {_usual(folded, forms): sum(forms.values()) for folded, forms in written.items()}


def _usual(folded: str, forms: dict[str, float]) -> str:
    if forms.get(folded, 0.0) >= _LOWER_CASE * sum(forms.values()):
        return folded
    return max(forms, key=lambda form: (forms[form], form))


def collect(contexts: Sequence[Context], background: Background) -> Evidence:
    """Return the evidence of active contexts.

    A context counts by its largest activation squared, the energy of the latent's part in the reconstruction; its
    active positions divide that in proportion to their activations.
    """
    evidence = Evidence(background)
    raw: list[tuple[Event, float]] = []
    for number, context in enumerate(contexts):
        total = float(context.activations.sum())
        if context.peak <= 0 or total <= 0:
            continue
        raw += [(event, context.peak**2 * share) for event, share in _events(number, context, total)]
    total = math.fsum(weight for _, weight in raw)
    for event, weight in raw:
        evidence.events.append(replace(event, weight=weight / total))
        for term in event.terms:
            evidence.index[term].append(len(evidence.events) - 1)
    return evidence


def _events(number: int, context: Context, total: float) -> Iterator[tuple[Event, float]]:
    """Yield the active positions of a context, with their shares of its activation."""
    units = split_units(context.tokens)
    lower = [text.casefold() for text in units.texts]
    window = {("topic", word) for word in lower if is_word(word)}
    for position in np.flatnonzero(context.activations > 0).tolist():
        unit, token = units.of_token[position], context.tokens[position]
        terms, spans = _terms(units, lower, unit, token)
        if context.start == 0 and position == 0:
            terms.add(FIRST)
        here = frozenset(terms | (window - {("topic", lower[unit])} if unit >= 0 else window))
        written = units.texts[unit] if unit >= 0 else ""
        yield Event(number, 0.0, written, here, spans), float(context.activations[position]) / total


def _terms(units: Units, lower: list[str], unit: int, token: str) -> tuple[set[Term], dict[Term, str]]:
    """Return the terms of one position, and the texts of its pairs and gaps."""
    stripped = token.strip().casefold()
    if unit < 0:
        name = "line breaks" if "\n" in token else "white space"
        return {("kind", name), *([("token", stripped)] if stripped else [])}, {}
    word = lower[unit]
    terms: set[Term] = {("word", word), *word_parts(word), *(("kind", kind) for kind in kinds(units.texts[unit]))}
    if stripped:
        terms.add(("piece" if stripped in word else "token", stripped))
    if starts_sentence(units.texts, unit):
        terms.add(SENTENCE)
    spans: dict[Term, str] = {}
    for first, last in _neighbours(unit, len(lower)):
        kind = "pair" if last - first == 1 else "gap"
        term = (kind, lower[first], lower[last])
        terms.add(term)
        spans[term] = units.text[units.starts[first] : units.ends[last]]
    if unit > 0:
        terms.add(("after", lower[unit - 1]))
    if unit + 1 < len(lower):
        terms.add(("before", lower[unit + 1]))
    return terms, spans


def _neighbours(unit: int, n: int) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of the pairs and gaps that a unit is in."""
    for distance in (1, *GAPS):
        if unit >= distance:
            yield unit - distance, unit
        if unit + distance < n:
            yield unit, unit + distance
