"""Words and symbols of a token sequence, and their kinds: numbers, capitals, brackets, scripts …"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from saefari.interp.explainers.lexicon.word_classes import WORD_CLASSES

_MARKS = "".join(
    re.escape(chr(code)) for code in range(0x300, 0xFE00) if unicodedata.category(chr(code)) in ("Mn", "Mc")
)
"""Combining marks; `\\w` leaves them out, although they are inside words of many languages."""
_LETTER = rf"(?:[^\W_]|[{_MARKS}])"
_SEQUENCE = r"(?:[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff]|\u200d[^\w\s])*"
"""What follows the first character of an emoji that has several."""
_UNIT = re.compile(rf"{_LETTER}+(?:['’]{_LETTER}+)*|_+|[^\w\s]{_SEQUENCE}")
_PLAIN_UNIT = re.compile(r"[^\W_]+(?:'[^\W_]+)*|_+|[^\w\s]")
"""The same for ASCII texts, faster."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters of scripts without spaces between words; there a token is the best unit that is known."""
_SENTENCE_ENDS = frozenset(".!?。！？…")
_BRACKETS = {
    "opening brackets": "([{<⟨「『（【《",
    "closing brackets": ")]}>⟩」』）】》",
    "quotation marks": "\"'`“”‘’«»„",
}
_SCRIPTS = {
    "CJK": "Chinese characters",
    "HIRAGANA": "Japanese kana",
    "KATAKANA": "Japanese kana",
    "HANGUL": "Korean letters",
    "CYRILLIC": "Cyrillic letters",
    "ARABIC": "Arabic letters",
    "HEBREW": "Hebrew letters",
    "GREEK": "Greek letters",
    "DEVANAGARI": "Devanagari letters",
    "THAI": "Thai letters",
}
"""First word of a character's Unicode name -> how it is called here."""


@dataclass(frozen=True)
class Units:
    """Words and symbols of a token sequence.

    text: the joined tokens. texts: units as written. starts, ends: their character positions in `text`. of_token: for
    each token the index of its unit (of several, the last word), -1 for white space. bounds: character positions
    between tokens, n_tokens + 1.
    """

    text: str
    texts: list[str]
    starts: list[int]
    ends: list[int]
    of_token: list[int]
    bounds: list[int]


def split_units(tokens: Sequence[str]) -> Units:
    """Find the words and symbols of a token sequence, and which of them each token belongs to."""
    text = "".join(tokens)
    bounds = [0, *accumulate(map(len, tokens))]
    texts, starts, ends = [], [], []
    for unit, start in _found(text, bounds):
        texts.append(unit)
        starts.append(start)
        ends.append(start + len(unit))
    of_token = [_unit_of(text, start, end, texts, starts, ends) for start, end in pairwise(bounds)]
    return Units(text, texts, starts, ends, of_token, bounds)


def unit_texts(tokens: Sequence[str]) -> list[str]:
    """Return `split_units(tokens).texts`, faster."""
    text = "".join(tokens)
    if text.isascii():
        return _PLAIN_UNIT.findall(text)
    return [unit for unit, _ in _found(text, [0, *accumulate(map(len, tokens))])]


def _found(text: str, bounds: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield (unit, start) of a text; words of unspaced scripts are divided where tokens meet."""
    if text.isascii():
        yield from ((match.group(), match.start()) for match in _PLAIN_UNIT.finditer(text))
        return
    for match in _UNIT.finditer(text):
        start, end = match.span()
        if _UNSPACED.search(match.group()):
            cuts = [cut for cut in bounds[bisect_right(bounds, start) :] if cut < end]
            for first, last in zip([start, *dict.fromkeys(cuts)], [*dict.fromkeys(cuts), end], strict=True):
                yield text[first:last], first
        else:
            yield match.group(), start


def _unit_of(text: str, start: int, end: int, texts: list[str], starts: list[int], ends: list[int]) -> int:
    """Return the unit of the token text[start:end]: of several the last word, else the last; -1 for white space."""
    if start == end:  # a part of a character, whose text the next token holds
        end += 1
    last = bisect_right(starts, end - 1) - 1
    if last < 0 or ends[last] <= start:
        return -1
    first = last
    while first > 0 and ends[first - 1] > start:
        first -= 1
    words = [unit for unit in range(first, last + 1) if is_word(texts[unit])]
    return words[-1] if words else last


def is_word(unit: str) -> bool:
    """Whether a unit is a word or a number, not a symbol."""
    return unit[0].isalnum() or unicodedata.category(unit[0])[0] in "LM"


@lru_cache(maxsize=100_000)
def kinds(unit: str) -> tuple[str, ...]:
    """Return the kinds of a unit as written, from the more special to the more general."""
    if unit.isdigit():
        return ("numbers with four digits", "numbers") if len(unit) == 4 else ("numbers",)
    if is_word(unit):
        return tuple(_word_kinds(unit))
    found = [name for name, characters in _BRACKETS.items() if unit[0] in characters]
    if unit[0] in _SENTENCE_ENDS:
        found.append("ends of sentences")
    if unicodedata.category(unit[0]) == "So":
        return ("emoji and pictures",)
    return (*found, "punctuation and symbols")


def _word_kinds(word: str) -> Iterator[str]:
    yield from WORD_CLASSES.get(word.casefold(), ())
    script = next((name for key, name in _SCRIPTS.items() if unicodedata.name(word[0], "").startswith(key)), None)
    if script is not None:
        yield script
    elif len(word) == 1:
        yield "single letters"
    elif word.isupper():
        yield "words in capital letters"
    elif word[0].isalpha() and any(map(str.isdigit, word)):
        yield "words with digits"
    elif word[1:] != word[1:].lower() and word[1:] != word[1:].upper():
        yield "names in CamelCase"
    elif word[0].isupper():
        yield "capitalised words"


def starts_sentence(texts: Sequence[str], place: int) -> bool:
    """Whether a word follows the end of a sentence. The first unit of a window is not known to."""
    return place > 0 and texts[place - 1][0] in _SENTENCE_ENDS and is_word(texts[place]) and texts[place][0].isupper()


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Return a key that the inflected forms of an English word share (feature, features, featured, featuring).

    It removes the endings s, es, ies, ed, ing and 's, a doubled consonant before them, and a final e; short words and
    words of other alphabets are left alone.
    """
    if not word.isascii() or not word.isalpha():
        word = word.removesuffix("'s").removesuffix("’s")
        if not word.isascii() or not word.isalpha():
            return word
    if len(word) <= 3:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zzes")) else word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and re.search("[aeiouy]", base):
            if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz":
                base = base[:-1]
            word = base
            break
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    return word.removesuffix("e") if len(word) > 3 else word
