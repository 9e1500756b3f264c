"""Names and sentences from the terms that describe a latent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from saefari.interp.explainers.lexicon.evidence import Evidence, Found
from saefari.interp.explainers.lexicon.units import is_word

_LONGEST = 40
"""Characters of a quoted token or phrase."""
_MOST_FORMS = 3
_LEAST_FORM = 0.08
"""Least share of a word form, or of an example, in what its term covers."""
_WHOLE = 0.4
_WORDS = ("word", "stem")


def quoted(text: str) -> str:
    """Return a text in quotation marks, in one printable line, cut if it is long."""
    shown = "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
    return f"“{shown}”" if '"' in shown else f'"{shown}"'


def plain(text: str) -> str:
    """Return a word for a name: as it is if it cannot be mistaken for a part of the name, else quoted."""
    return text if text.isalpha() and 3 < len(text) <= _LONGEST else quoted(text)


def marked(text: str) -> str:
    """Return a word for a sentence: between asterisks, or quoted if it is no plain word."""
    return f"*{text}*" if text.isalnum() and len(text) <= _LONGEST else quoted(text)


def listed(parts: Sequence[str], last: str = "and") -> str:
    """Join phrases: "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def name_of(evidence: Evidence, chosen: Sequence[Found]) -> str:
    """Return a few words for the one to three terms that matter most."""
    shown = [one for one in chosen if one.coverage >= chosen[0].coverage / 3][:3]
    if len(shown) == 1:
        return _phrase(evidence, shown[0], plain)
    words = [_forms(evidence, one)[0] for one in shown if one.term[0] in _WORDS]
    if len(words) == len(shown) and all(map(is_word, words)):
        return f"the words {listed([plain(word) for word in words])}"
    return ", ".join(short_name_of(evidence, one) for one in shown)


def sentence_of(evidence: Evidence, chosen: Sequence[Found]) -> str:
    """Return a phrase for all terms, with word forms and examples, without a full stop."""
    if len(chosen) == 1:
        return _phrase(evidence, chosen[0], marked) + _details(evidence, chosen[0])
    words = [one for one in chosen if one.term[0] in _WORDS]
    parts = [_phrase(evidence, one, marked) + _details(evidence, one) for one in chosen if one not in words]
    if words:
        together = listed([_word_with_forms(evidence, one) for one in words])
        nouns = {_noun(_forms(evidence, one)[0]) for one in words}
        noun = nouns.pop() if len(nouns) == 1 else "token"
        together = f"the {noun}{'s' if len(words) > 1 else ''} {together}"
        parts.insert(0 if chosen[0] in words else 1, together)
    return listed(parts, "and also")


def _phrase(evidence: Evidence, found: Found, style: Callable[[str], str]) -> str:
    kind, *content = found.term
    if kind in ("word", "stem"):
        word = _forms(evidence, found)[0]
        return f"the {_noun(word)} {style(word)}"
    if kind == "pair":
        return f"the phrase {quoted(_span(evidence, found))}"
    if kind == "gap":
        return f'"{content[0]} … {content[1]}"'
    if kind == "piece":
        if _is_whole(evidence, found):
            return f"the {_noun(content[0])} {style(content[0])}"
        return f"the word piece {quoted(content[0])}"
    if kind == "token":
        return f"the token {quoted(content[0])}"
    if kind == "prefix":
        return f"words beginning with {content[0]}-"
    if kind == "suffix":
        return f"words ending in -{content[0]}"
    if kind == "kind":
        return content[0]
    if kind in ("after", "before"):
        return f"what stands {kind} {style(content[0])}"
    if kind == "topic":
        return f"words of texts with {style(content[0])}"
    return "the first word of a text" if kind == "first" else "the first word of a sentence"


def _noun(unit: str) -> str:
    return "word" if is_word(unit) else "character" if len(unit) == 1 else "symbol"


def short_name_of(evidence: Evidence, found: Found) -> str:
    """Return a term as an item of a name."""
    kind, *content = found.term
    if kind in _WORDS:
        return plain(_forms(evidence, found)[0])
    if kind == "piece" and _is_whole(evidence, found):
        return plain(content[0])
    if kind in ("pair", "piece", "token"):
        return quoted(_span(evidence, found) if kind == "pair" else content[0])
    return (
        _phrase(evidence, found, plain)
        .replace("words beginning with", "words in")
        .replace("words ending in", "words in")
    )


def _word_with_forms(evidence: Evidence, found: Found) -> str:
    first, *others = (marked(word) for word in _forms(evidence, found))
    return f"{first} ({', '.join(others)})" if others else first


def _details(evidence: Evidence, found: Found) -> str:
    """Return the other forms of a word, examples of a pattern, or the active word of a phrase."""
    kind, content = found.term[0], found.term[-1]
    words = [marked(word) for word in _forms(evidence, found)]
    if kind in _WORDS:
        return f", also {listed(words[1:])}" if len(words) > 1 else ""
    if kind in ("pair", "gap"):
        return f" (at {listed(words, 'or')})"
    if kind == "kind" and content in ("white space", "line breaks"):
        return ""
    examples = [word for word in words if word.strip('*"“”').casefold() != content]
    such_as = "also within words such as" if kind == "piece" and _is_whole(evidence, found) else "such as"
    return f" ({such_as} {listed(examples)})" if examples else ""


def _is_whole(evidence: Evidence, found: Found) -> bool:
    """Whether a token is often a whole word, not a part of one."""
    whole = [event for event in found.events if evidence.events[event].unit.casefold() == found.term[1]]
    return evidence.covered(whole) >= _WHOLE * found.coverage


def _forms(evidence: Evidence, found: Found) -> list[str]:
    """Return the most frequent words at a term's events, by falling share of the activations."""
    words = evidence.words(found.events)
    words.pop("", None)
    ordered = sorted(words, key=lambda word: (-words[word], word))
    return [word for word in ordered[:_MOST_FORMS] if words[word] >= _LEAST_FORM * found.coverage] or ordered[:1]


def _span(evidence: Evidence, found: Found) -> str:
    """Return a pair as it is most often written."""
    spans = Counter(evidence.events[event].spans[found.term] for event in found.events)
    return max(spans, key=lambda span: (spans[span], span))
