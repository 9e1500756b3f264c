"""Error messages are short and printable for any quoted value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.errors import ConfigError, Problem, enumerated, nearest, readable, shortened, shown

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nested(depth: int) -> list[Any]:
    """Return nested lists that share memory but print as 10 ** (depth + 1) values."""
    value: list[Any] = ["x"] * 10
    for _ in range(depth):
        value = [value] * 10
    return value


@given(VALUES)
def test_shown_prints_short_values_in_full_and_cuts_long_ones(value: Any) -> None:
    text = shown(value)
    assert len(text) <= 110
    assert text.isprintable()
    if len(repr(value)) <= 20:
        assert text == repr(value)


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        (list(range(10_000)), "[0, 1, 2, 3,", "...] (10,000 values)"),
        (nested(12), "[[[", "(10 values)"),
        ({str(i): nested(9) for i in range(500)}, "{'0': [[", "(500 values)"),
        ("x" * 1_000_000, "'xxx", "xxx'"),
        ("\u202e\x1b[31m\n", "'\\u202e\\x1b[31m\\n'", "'"),
        (1 << 100_000, "<a number of 100,001 bits>", ">"),
    ],
    ids=["list", "nested", "mapping", "text", "control characters", "number"],
)
def test_shown_cuts_large_values_and_escapes_control_characters(value: Any, start: str, end: str) -> None:
    text = shown(value)
    assert text.startswith(start)
    assert text.endswith(end)
    assert len(text) <= 110


def test_shown_handles_a_recursive_value() -> None:
    value: list[Any] = []
    value.append(value)
    assert shown(value).startswith("[[[")


def test_enumerated_lists_the_first_names_and_counts_the_rest() -> None:
    assert enumerated(["text", "label"]) == "text, label"
    assert enumerated([f"c{i}" for i in range(10_000)], 2) == "c0, c1 and 9,998 more"
    assert enumerated(["a\nb", "y" * 1000]).startswith("'a\\nb', 'yyy")
    assert readable("a plain name") == "a plain name"


def test_config_error_counts_many_mistakes_in_one_list() -> None:
    many = [Problem(f"models[0].layers[{i}]", f"'q{i}': not a number") for i in range(10_000)]
    text = str(ConfigError([*many, Problem("settings.seed", "'x': not a number")]))
    assert text.startswith("configuration: 10,001 mistakes\n  models[0].layers[0]: 'q0'")
    assert "models[0].layers[]: 9,997 more mistakes" in text
    assert "settings.seed: 'x'" in text
    assert len(text.splitlines()) == 6


def test_config_error_limits_the_number_of_lines() -> None:
    text = str(ConfigError([Problem(f"key{i}", "unknown key") for i in range(10_000)]))
    assert len(text.splitlines()) == 32
    assert text.endswith("and 9,970 more")


def test_nearest_ignores_very_long_values() -> None:
    assert nearest("x" * 1_000_000, ["text", "label"]) == ""
    assert nearest("lable", ["text", "label"]) == " (did you mean 'label'?)"


def test_shortened_returns_one_short_line() -> None:
    assert shortened(ValueError("a\n  b")) == "a b"
    assert len(shortened(ValueError("x" * 10_000))) < 500
