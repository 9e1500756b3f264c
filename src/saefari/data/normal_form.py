"""The normal form of a text: what stays of it when two texts are compared as near-duplicates."""

from __future__ import annotations

import re
import unicodedata

TEXT_RULE = "case, white space, punctuation, URLs, @handles and Unicode form are ignored"
"""What `normal_form` leaves out. Split records hold it; change it with the rule."""

_ADDRESS = re.compile(r"(?:https?://|www\.)[!-~]+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w.+-])@\w+(?:@[\w.-]+)?")
_SPACE_OUTSIDE_NUMBERS = re.compile(r"(?<!\d) | (?!\d)")
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)


class _Kept(dict[int, int | str]):
    """Table for `str.translate`: punctuation becomes a space, invisible characters nothing, others stay."""

    def __missing__(self, code: int) -> int | str:
        category = unicodedata.category(chr(code))
        invisible = category == "Cf" or code in _VARIATION_SELECTORS
        self[code] = "" if invisible else " " if category.startswith("P") else code
        return self[code]


_KEPT = _Kept()


def normal_form(text: str) -> str:
    """The letters, digits and symbols of a text: equal for texts that differ only in what `TEXT_RULE` names.

    URLs and @handles are removed, the rest is brought to Unicode form NFKC and folded case, and punctuation,
    white space and invisible characters are removed; between two digits they become one space, since 1.5 is not 15.
    A text of which nothing is left, such as "???", keeps its characters: its white space alone is collapsed.
    """
    bare = _HANDLE.sub(" ", _ADDRESS.sub(" ", text))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bare).casefold())
    spaced = " ".join(folded.translate(_KEPT).split())
    return _SPACE_OUTSIDE_NUMBERS.sub("", spaced) or " ".join(text.split())
