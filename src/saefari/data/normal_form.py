"""Normal form of a text, for the detection of near-duplicates."""

from __future__ import annotations

import re
import unicodedata

TEXT_RULE = "case, white space, punctuation, URLs, @handles and Unicode form are ignored"
"""Differences that `normal_form` ignores. Stored in split records; update it with the rule."""

_ADDRESS = re.compile(r"(?:https?://|www\.)[!-~]+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w.+-])@\w+(?:@[\w.-]+)?")
_SPACE_OUTSIDE_NUMBERS = re.compile(r"(?<!\d) | (?!\d)")
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)


class _Translation(dict[int, int | str]):
    """Table for `str.translate`: removes invisible characters and replaces punctuation by spaces."""

    def __missing__(self, code: int) -> int | str:
        category = unicodedata.category(chr(code))
        invisible = category == "Cf" or code in _VARIATION_SELECTORS
        self[code] = "" if invisible else " " if category.startswith("P") else code
        return self[code]


_TRANSLATION = _Translation()


def normal_form(text: str) -> str:
    """Return the letters, digits and symbols of a text; equal for texts that differ only as in `TEXT_RULE`.

    URLs and @handles are removed, the rest is normalised to NFKC and case-folded, and punctuation, white space and
    invisible characters are removed; between digits they become one space, so that 1.5 and 15 differ.
    If nothing is left, as for "???", the text is returned with collapsed white space.
    """
    without_links = _HANDLE.sub(" ", _ADDRESS.sub(" ", text))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", without_links).casefold())
    spaced = " ".join(folded.translate(_TRANSLATION).split())
    return _SPACE_OUTSIDE_NUMBERS.sub("", spaced) or " ".join(text.split())
