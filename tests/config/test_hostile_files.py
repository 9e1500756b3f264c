"""Huge, nested, repetitive or malformed configurations end in one short error message."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from saefari.config import load_config
from saefari.config.class_map import read_class_map
from saefari.errors import ConfigError

LETTERS = "abcdefghijklmno"
LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise(LETTERS)
)
"""10^15 values through aliases (the "billion laughs" attack)."""
MERGES = "a: &a {seed: 1, dtype: auto}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n" for before, name in pairwise(LETTERS)
)
"""Mappings that merge ten mappings each; YAML copies their keys."""
VALID = "models: [{name: m, layers: [1], widths: [1k]}]\ndatasets: [{name: d}]\n"


def message(tmp_path: Path, text: str, *overrides: str) -> str:
    """Return the error message for a file."""
    path = tmp_path / "conf.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS + "models: *o\n",
        LAUGHS + "models: [{name: *o, layers: *o, widths: *o, model_type: *o, sae_train: *o}]\nsettings: {seed: *o}\n",
        LAUGHS
        + VALID
        + "settings: {model_type: *o, device: *o}\nclassification_params: {pooling: *o, top_n_values: *o}\n",
        MERGES + VALID + "settings: *o\n",
        "a: &a [*a]\nmodels: *a\nsettings: *a\ndatasets: *a\n",
        "a: &a {b: *a}\nmodels: [*a]\nsettings: *a\n",
        f"models: {'[' * 5000}",
        f"models: {'[' * 5000}{']' * 5000}",
        "\n".join(f"key{i}: 1" for i in range(5000)),
        f"{'k' * 500}: 1\n",
        VALID + f"settings: {{seed: {'9' * 5000}}}",
        VALID + f"settings: {{seed: 0x{'f' * 50_000}}}",
        VALID + f"settings: {{model_type: {'x' * 1_000_000}}}",
        f"models: [{{name: {'x' * 1_000_000}, layers: 1}}]\ndatasets: [{{name: d}}]",
        f"models: [{{name: m, layers: 1, widths: [{', '.join(['../x'] * 5000)}]}}]\ndatasets: [{{name: d}}]",
        VALID + "settings: {base_save_dir: 2020-13-45}",
        *(VALID + f"settings: {{seed: !!{bad}}}" for bad in ("int x", "bool x", "timestamp x", "float x", 'int ""')),
    ],
    ids=lambda text: repr(text[-24:]),
)
def test_hostile_file_ends_in_a_short_error(tmp_path: Path, text: str) -> None:
    text_of_error = message(tmp_path, text)
    assert len(text_of_error) < 6000
    assert max(map(len, text_of_error.splitlines())) < 700


def test_ten_thousand_layers_are_one_error(tmp_path: Path) -> None:
    text_of_error = message(
        tmp_path, f"models: [{{name: m, layers: {list(range(10_000))}, widths: 1k}}]\ndatasets: [{{name: d}}]"
    )
    first, line = text_of_error.splitlines()
    assert first.endswith(": 1 mistake")
    assert line.startswith("  models[0].layers: [0, 1, 2, 3,")
    assert "(10,000 values): list should have at most 1000 items" in line
    assert len(line) < 250


def test_merged_keys_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text(
        f"settings: {{<<: [{{seed: 3, dtype: float32}}, {{seed: 4, max_length: 9}}], dtype: float16}}\n{VALID}"
    )
    settings = load_config(file).settings
    assert (settings.seed, settings.dtype, settings.max_length) == (3, "float16", 9)


@pytest.mark.parametrize(
    "override",
    [
        "x" * 100_000,
        f"{'a.' * 50_000}b=1",
        f"settings.seed={'[' * 5000}",
        f"settings.seed={list(range(10_000))}",
        "a=!!int x",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_long_overrides_are_truncated_in_errors(tmp_path: Path, override: str) -> None:
    assert len(message(tmp_path, VALID, override)) < 400


@pytest.mark.parametrize("name", ["x" * 300, "a/" + "é" * 200, '"a\\0b"'])
def test_invalid_file_name(tmp_path: Path, name: str) -> None:
    text = f"models: [{{name: {name}, layers: 1, widths: 1k}}]\ndatasets: [{{name: {name}}}]"
    assert message(tmp_path, text).count("is not a valid file name") == 2


@pytest.mark.parametrize("given", ["{" + "[" * 5000, "x" * 300 + ".yaml"])
def test_unreadable_class_map(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_class_map(given)
    assert len(str(caught.value)) < 800


def test_nested_class_map(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(LAUGHS)
    with pytest.raises(ConfigError, match="a class maps to the name of one class") as caught:
        read_class_map(str(path))
    assert len(str(caught.value)) < 300
