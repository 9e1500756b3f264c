"""Differences between texts that the normal form ignores or keeps."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.data.normal_form import normal_form

PLAIN = "the café opens at 9 on Tuesday"


@pytest.mark.parametrize(
    "other",
    [
        "THE CAFÉ OPENS AT 9 ON TUESDAY",
        "  the café\topens at 9\n\non Tuesday ",
        "The café opens at 9, on 'Tuesday'!!!",
        "@owner the café opens at 9 on Tuesday https://example.org/a?b=c#d",
        "@owner@example.social: the café (www.example.org) opens at 9 on Tuesday",
        unicodedata.normalize("NFD", PLAIN),
        "the caf\u00e9 \uff4fpens at \uff19 on Tuesday",
        "the ca\u200bfé opens\u00a0at 9 on\ufeff Tuesday",
    ],
)
def test_normal_form_ignores_differences_in_form(other: str) -> None:
    assert normal_form(other) == normal_form(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("it costs 1.5", "it costs 15"),
        ("12-3", "1-23"),
        ("good 😀", "good 😢"),
        ("3 + 4", "3 = 4"),
        ("write to me@example.org", "write to me"),
        ("cafe", "café"),
        ("看这个https://t.co/abc太好了", "看这个"),
    ],
)
def test_normal_form_keeps_differences_in_content(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


def test_text_without_letters_digits_or_symbols_is_kept() -> None:
    alone = ["???", "!!!", "...", "@someone", "@another", "https://example.org/1", "https://example.org/2"]
    assert len({normal_form(text) for text in alone}) == len(alone)
    assert normal_form(" ??\n?") == "?? ?"
    assert normal_form("") == normal_form(" \n") == ""


@given(st.text(), st.sampled_from([" ", "\n", "!", "…", "\u200b", " @someone ", " https://example.org/x "]))
def test_ignored_parts_may_be_appended(text: str, appended: str) -> None:
    if any(character.isalpha() for character in normal_form(text + " ")):
        assert normal_form(f"{text} {appended}") == normal_form(f"{text} ")
