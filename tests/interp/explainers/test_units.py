"""Words, symbols and their kinds, in texts of any language and for any tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.interp.explainers.lexicon.units import kinds, split_units, starts_sentence, stem, unit_texts

TOKENS = st.lists(st.text(max_size=5), max_size=20)


@given(TOKENS)
def test_units_are_substrings_in_order_and_leave_only_space(tokens: list[str]) -> None:
    units = split_units(tokens)
    assert units.text == "".join(tokens)
    assert [units.text[a:b] for a, b in zip(units.starts, units.ends, strict=True)] == units.texts
    assert all(a < b for a, b in zip(units.starts, units.ends, strict=True))
    assert all(end <= start for end, start in zip(units.ends, units.starts[1:], strict=False))
    assert len(units.of_token) == len(tokens)
    assert all(-1 <= unit < len(units.texts) for unit in units.of_token)
    assert all(name for unit in units.texts for name in kinds(unit))


@given(TOKENS)
def test_the_fast_way_gives_the_same_units(tokens: list[str]) -> None:
    assert unit_texts(tokens) == split_units(tokens).texts


@given(TOKENS)
def test_a_token_belongs_to_a_unit_that_overlaps_it(tokens: list[str]) -> None:
    units = split_units(tokens)
    for token, start, end, unit in zip(tokens, units.bounds, units.bounds[1:], units.of_token, strict=False):
        if unit >= 0 and token:
            assert units.starts[unit] < end
            assert units.ends[unit] > start


@pytest.mark.parametrize(
    ("tokens", "texts", "of_token"),
    [
        (("un", "believ", "able", " it", "'s", "."), ["unbelievable", "it's", "."], [0, 0, 0, 1, 1, 2]),
        ((" n", "_", "samples"), ["n", "_", "samples"], [0, 1, 2]),
        ((" (the", " end", ")."), ["(", "the", "end", ")", "."], [1, 2, 4]),
        (("我", "喜欢", "机器", "学习", "。"), ["我", "喜欢", "机器", "学习", "。"], [0, 1, 2, 3, 4]),
        (("日本", "語の", "テキスト"), ["日本", "語の", "テキスト"], [0, 1, 2]),
        (("हिन्", "दी", " में"), ["हिन्दी", "में"], [0, 0, 1]),
        (("a", "\n\n", "b"), ["a", "b"], [0, -1, 1]),
        (("", "🙂", " x"), ["🙂", "x"], [0, 0, 1]),
        (("👩", "‍🔬", "!"), ["👩‍🔬", "!"], [0, 0, 1]),
        (("caf", "é", " Straße"), ["café", "Straße"], [0, 0, 1]),
    ],
)
def test_tokens_are_joined_to_words(tokens: tuple[str, ...], texts: list[str], of_token: list[int]) -> None:
    units = split_units(tokens)
    assert (units.texts, units.of_token) == (texts, of_token)


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        ("1984", "numbers with four digits"),
        ("7", "numbers"),
        ("GPU", "words in capital letters"),
        ("x", "single letters"),
        ("DataFrame", "names in CamelCase"),
        ("Paris", "capitalised words"),
        ("int64", "words with digits"),
        ("(", "opening brackets"),
        ("”", "quotation marks"),
        ("。", "ends of sentences"),
        ("学习", "Chinese characters"),
        ("привет", "Cyrillic letters"),
        ("🙂", "emoji and pictures"),
        ("between", "prepositions"),
        ("Two", "number words"),
        ("is", "forms of to be"),
    ],
)
def test_kinds(unit: str, kind: str) -> None:
    assert kind in kinds(unit)


@pytest.mark.parametrize(
    "forms",
    [
        ("feature", "features", "featured", "featuring"),
        ("set", "sets", "setting"),
        ("class", "classes"),
        ("query", "queries"),
        ("axis",),
        ("return", "returns", "returned", "returning"),
        ("stop", "stopped", "stopping"),
        ("call", "calls", "called", "calling"),
        ("batch", "batches", "batched"),
    ],
)
def test_word_forms_share_a_stem(forms: tuple[str, ...]) -> None:
    assert len(set(map(stem, forms))) == 1


@pytest.mark.parametrize(("one", "other"), [("this", "the"), ("string", "str"), ("need", "ne"), ("bed", "bus")])
def test_different_words_do_not(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_a_sentence_starts_after_a_full_stop() -> None:
    texts = split_units(("It", " ends", ".", " Then", " more", ",", " so")).texts
    assert [starts_sentence(texts, place) for place in range(len(texts))] == [place == 3 for place in range(len(texts))]
