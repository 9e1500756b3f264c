"""The lexical explainer: what is over-represented at a latent's activations, without a language model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from saefari.errors import readable
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.explainers.lexicon.choose import choose
from saefari.interp.explainers.lexicon.evidence import Evidence, Found, collect
from saefari.interp.explainers.lexicon.image_regions import describe_images
from saefari.interp.explainers.lexicon.leaning import leading_classes, neighbour
from saefari.interp.explainers.lexicon.units import stem
from saefari.interp.explainers.lexicon.wording import listed, marked, name_of, plain, sentence_of, short_name_of
from saefari.interp.records import Context, Explanation, ExplanationError, LatentExamples

VERSION = 1
_MOST, _HALF, _SOME = 0.75, 0.5, 0.33
"""Shares of the activations that the chosen terms cover: enough for a plain statement, for one with a reservation, for
"various"."""
_STRONGEST = 1 / 3
"""Share of the contexts that counts as strongest."""
_SELDOM, _RARELY = 0.2, 0.05
"""Shares of a term's occurrences that the sentence mentions, and that the name does."""
_LONGEST_CLASS = 40
_N_EXAMPLES = 4
_SAME_BEGINNING = 6
"""Of example words with the same first letters one is enough."""


@dataclass
class LexicalExplainer:
    """Describes a latent by words, word forms, word parts, pairs, kinds of characters, neighbours and classes.

    Terms are compared with their frequency in the corpus by log-odds ratios with an informative Dirichlet prior (Monroe
    et al. 2008); see `log_odds` and `choose`. Image latents are described by classes and positions. Deterministic.
    background: of the corpus that the contexts come from; not needed for images.
    """

    background: Background
    name: str = "lexical"

    async def explain(self, examples: LatentExamples) -> Explanation:
        """Return a name and a sentence. Raises ExplanationError if there is no active context."""
        name, sentence = self.describe(examples)
        return Explanation(name, sentence, self.name, version=VERSION)

    def describe(self, examples: LatentExamples) -> tuple[str, str]:
        """Return the name and the sentence. Raises ExplanationError if there is no active context."""
        active = [context for context in examples.explain if context.peak > 0]
        if not active:
            raise ExplanationError(f"latent {examples.latent} has no active contexts to explain")
        classes = [readable(name, _LONGEST_CLASS) for name in leading_classes(examples.class_rows)]
        if any(context.image is not None for context in active):
            return describe_images(active, classes, _strongest_classes(active, examples))
        evidence = collect(active, self.background)
        everything, strongest = frozenset(range(len(evidence.events))), _strongest(evidence)
        chosen = choose(evidence, everything)
        covered = _coverage(evidence, chosen)
        if covered >= _HALF and _coverage(evidence, chosen, strongest) >= _HALF * evidence.covered(strongest):
            where, is_rare = _where(evidence, chosen, examples)
            rest = "" if covered >= _MOST else "; sometimes other words"
            name = name_of(evidence, chosen) + (", at times" if is_rare else "")
            return name, _sentence(f"{sentence_of(evidence, chosen)}{where}{rest}", classes)
        most = choose(evidence, strongest)
        share = _coverage(evidence, most) / evidence.covered(strongest)
        if share >= _HALF:
            text = f"{sentence_of(evidence, most)} at its strongest activations; weaker on various other words"
            return name_of(evidence, most), _sentence(text, classes)
        if max(covered, share) >= _SOME:
            return _various(evidence, chosen if covered >= _SOME else most, strongest, classes)
        return _nothing_common(_typical(evidence, strongest), classes)


def _strongest_classes(active: list[Context], examples: LatentExamples) -> list[str]:
    """Return the classes that the strongest third of the contexts leans to."""
    ordered = sorted(active, key=lambda context: -context.peak)
    counts = Counter(context.label for context in ordered[: max(1, round(len(ordered) * _STRONGEST))])
    rows = {name: (counts[name], of) for name, (_, of) in examples.class_rows.items()}
    return [readable(name, _LONGEST_CLASS) for name in leading_classes(rows)]


def _various(evidence: Evidence, shown: list[Found], strongest: frozenset[int], classes: list[str]) -> tuple[str, str]:
    """Return a name and a sentence with terms that cover a part, and the strongest words if they are others."""
    rest = strongest.difference(*(one.events for one in shown))
    text = f"various words, among them {sentence_of(evidence, shown)}"
    others = _typical(evidence, rest)[:2]
    if not others or evidence.covered(rest) < _HALF * evidence.covered(strongest):
        return f"various: {name_of(evidence, shown)}", _sentence(text, classes)
    name = f"various: {listed([*map(plain, others), short_name_of(evidence, shown[0])])}"
    return name, _sentence(f"{text}; strongest on {listed([marked(word) for word in others])}", classes)


def _nothing_common(words: list[str], classes: list[str]) -> tuple[str, str]:
    """Return a name and a sentence with the words of the strongest activations, and the classes."""
    mostly = f"mostly in {listed(classes)}" if classes else ""
    if not words:
        return f"no common word; {mostly}" if classes else "no common word", _sentence("no common word", classes)
    name = f"various{f', {mostly}' if classes else ''}: {listed([plain(word) for word in words[:3]])}"
    return name, _sentence(f"various words, strongest on {listed([marked(word) for word in words])}", classes)


def _sentence(text: str, classes: list[str]) -> str:
    lean = f"; mostly {listed(classes)}" if classes else ""
    return f"{text[0].upper()}{text[1:]}{lean}."


def _coverage(evidence: Evidence, chosen: list[Found], among: frozenset[int] | None = None) -> float:
    """Return the share of the activations that terms cover, at some events or at all."""
    events = frozenset().union(*(one.events for one in chosen))
    return evidence.covered(events if among is None else events & among)


def _strongest(evidence: Evidence) -> frozenset[int]:
    """Return the events of the third of the contexts with the largest activations."""
    peaks: dict[int, float] = {}
    for event in evidence.events:
        peaks[event.context] = peaks.get(event.context, 0.0) + event.weight
    order = sorted(peaks, key=lambda context: (-peaks[context], context))
    kept = set(order[: max(1, round(len(order) * _STRONGEST))])
    return frozenset(i for i, event in enumerate(evidence.events) if event.context in kept)


def _where(evidence: Evidence, chosen: list[Found], examples: LatentExamples) -> tuple[str, bool]:
    """Return beside what a single term is active and how often, if that is seldom; and whether it is rare.

    By Bayes, the share of a term's occurrences with the latent is P(term | active) P(active) / P(term).
    """
    if len(chosen) > 1:
        return "", False
    (only,) = chosen
    beside = neighbour(evidence, only)
    text = f", mostly {beside[0]} {marked(beside[1])}" if beside else ""
    count, places = evidence.background.count(only.term)
    share = len(only.events) / len(evidence.events)
    occurrences = share * examples.density / (count / places) if count else 1.0
    if only.term[0] not in ("word", "stem", "kind", "suffix", "prefix") or not 0 < occurrences < _SELDOM:
        return text, False
    whose = "its" if only.term[0] in ("word", "stem") else "their"
    text += f", at about {max(1, round(100 * occurrences))}% of {whose} occurrences"
    return text, occurrences < _RARELY and beside is None


def _typical(evidence: Evidence, among: frozenset[int]) -> list[str]:
    """Return the words with the largest activations, common ones last."""
    words = evidence.words(among)
    words.pop("", None)

    def weight(word: str) -> float:
        count, places = evidence.background.count(("word", word.casefold()))
        return words[word] * (1 - count / max(places, 1)) ** 20

    of_stems: dict[str, str] = {}
    for word in sorted(words, key=lambda word: (-weight(word), word)):
        of_stems.setdefault(stem(word.casefold())[:_SAME_BEGINNING], word)
    return list(of_stems.values())[:_N_EXAMPLES]
