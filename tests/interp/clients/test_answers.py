"""Answers of real models: the unambiguous ones are read, all others are refused with a reason and their text."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.interp.clients.answers import binary_list, json_object, number_list, without_thinking
from saefari.interp.records import ExplanationError

OBJECT = '{"name": "arrays", "sentence": "texts about [arrays] and {sets}"}'
ARRAYS = json.loads(OBJECT)


@pytest.mark.parametrize(
    "text",
    [
        OBJECT,
        f"```json\n{OBJECT}\n```",
        f"```\n{OBJECT}```",
        f"Sure! Here is the explanation:\n\n{OBJECT}\n\nI hope this helps {{really}}.",
        f"<think>\nperhaps {{'x'}} or {OBJECT.replace('arrays', 'lists')}\n</think>\n{OBJECT}",
        f"<THINK>a</THINK><thinking>b</thinking>{OBJECT}",
        f'the template opened this part {{"name": 1}} </think> {OBJECT}',
        f"[THINK]a[/THINK]{OBJECT}",
        f"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>{OBJECT}",
        f"{OBJECT}\nAgain, in a fence:\n```json\n{json.dumps(ARRAYS, indent=2)}\n```",
        f"An empty dictionary {{}} is likely. {OBJECT}",
        f"[{OBJECT}]",
    ],
)
def test_an_object_is_found(text: str) -> None:
    assert json_object(text) == ARRAYS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I cannot help with that.", "found none"),
        ("[1, 2]", "found none"),
        ("{'name': 'arrays'}", "found none"),
        (f"{OBJECT} or {OBJECT.replace('arrays', 'lists')}", "found 2"),
        ('{"name": "arr', "incomplete"),
        ('{"name": {"inner": 1}, "sen', "incomplete"),
        ('{"name": "a", "name": "b"}', "twice"),
        ('{"score": NaN}', "finite"),
        ('{"score": 1e999}', "finite"),
        ('{"name": "\\ud800"}', "surrogates"),
        ('{"a": ' * 5000, "incomplete"),
        (f"<think> {OBJECT}", "thinking part"),
    ],
)
def test_no_or_no_single_object_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ExplanationError, match=reason) as caught:
        json_object(text)
    assert caught.value.raw == text


@pytest.mark.parametrize(
    "text",
    [
        "[1, 0, 1]",
        "[true, false, true]",
        "[True, False, True]",
        "['yes', 'no', 'YES']",
        '["1", "0", "one"]',
        "[yes, zero, 1.0]",
        "[\n  1,\n  0,\n  1\n]",
        "```json\n[1,0,1]\n```",
        'The labels are {"labels": [1, 0, 1]}.',
        "<think>[0, 0, 0] or [1]?</think>[1, 0, 1]",
        "First [1, 0, 1]; so my final answer is [1,0,1].",
    ],
)
def test_a_binary_list_is_found(text: str) -> None:
    assert binary_list(text, 3) == [True, False, True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("1, 0, 1", "found none"),
        ("[1, 0]", "found 2"),
        ("[1, 0, 1, 1]", "found 4"),
        ("[]", "found 0"),
        ("[1, 0, 2]", "value 3 .* is 2, not 1 or 0"),
        ("[1, 0, maybe]", "maybe"),
        ("[1, 0, null]", "null"),
        ("[1, 0,, 1]", "found 4"),
        ("[1, 0, 1,]", "found 4"),
        ("[[1, 0, 1]]", "nested"),
        ("[[1, 0, 1], [1, 0", "incomplete"),
        ("[1, 0, 1", "incomplete"),
        ("[1, 0, 1] or [0, 0, 1]", "found 2"),
        ("Example [1] fits: [1, 0, 1]", "found 2"),
        ("[¹, 0, 1]", "not 1 or 0"),
        ("<think>[1, 0, 1]", "thinking part"),
    ],
)
def test_no_or_no_single_binary_list_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ExplanationError, match=reason) as caught:
        binary_list(text, 3)
    assert caught.value.raw == text


def test_numbers_are_read() -> None:
    assert number_list("```\n[0, 10, 2.5, '3', 1e0]\n```", 5, 0, 10) == [0, 10, 2.5, 3, 1]


@pytest.mark.parametrize("item", ["11", "-1", "nan", "NaN", "inf", "Infinity", "1e999", "true", "1_0", "7/10", "٣", ""])
def test_a_number_outside_the_range_is_refused(item: str) -> None:
    with pytest.raises(ExplanationError):
        number_list(f"[1, {item}]", 2, 0, 10)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PROSE = st.text(st.characters(codec="utf-8", exclude_characters="{}[]<"), max_size=60)


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4), PROSE, PROSE)
def test_any_object_in_prose_is_found(value: dict[str, object], before: str, after: str) -> None:
    written = json.dumps(value)
    if "</" not in written and "[/" not in written:
        assert json_object(f"{before}{written}{after}") == value


@given(
    st.lists(st.sampled_from(["1", "0", "true", "False", "yes", "NO", '"one"', "'zero'"]), max_size=20), PROSE, PROSE
)
def test_any_list_of_words_in_prose_is_found(words: list[str], before: str, after: str) -> None:
    expected = [word.strip("\"'").lower() in ("1", "true", "yes", "one") for word in words]
    assert binary_list(f"{before}[{', '.join(words)}]{after}", len(words)) == expected


@given(st.lists(st.floats(0, 10), max_size=20))
def test_any_list_of_numbers_is_found(numbers: list[float]) -> None:
    assert number_list(json.dumps(numbers), len(numbers), 0, 10) == pytest.approx(numbers)


@given(st.text() | st.text("[]{}01,\"': \n\\truefalse<think>/"), st.integers(0, 5))
def test_any_text_gives_a_valid_value_or_an_explanation_error(text: str, n: int) -> None:
    for read in (json_object, lambda text: binary_list(text, n), lambda text: number_list(text, n, 0, 10)):
        try:
            value = read(text)
        except ExplanationError:
            continue
        assert isinstance(value, dict) or len(value) == n
        assert isinstance(value, dict) or all(math.isfinite(one) and 0 <= one <= 10 for one in value)


@given(st.integers(0, 60))
def test_a_truncated_answer_is_never_read(length: int) -> None:
    cut = OBJECT[: min(length, len(OBJECT) - 1)]
    with pytest.raises(ExplanationError):
        json_object(cut)
    with pytest.raises(ExplanationError):
        binary_list("[[1, 0, 1], [1, 1, 0]"[: length % 20], 3)


def test_many_closing_marks_are_no_deep_recursion() -> None:
    assert without_thinking("</think>" * 5000 + "end") == "end"
