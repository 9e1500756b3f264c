"""Configurations that are huge, nested, repeated or malformed end in one short message."""

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
"""Ten to the fifteenth values, each stored once."""
MERGES = "a: &a {seed: 1, dtype: auto}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n" for before, name in pairwise(LETTERS)
)
"""Mappings that merge ten mappings each, which YAML copies key by key."""
RIGHT = "models: [{name: m, layers: [1], widths: [1k]}]\ndatasets: [{name: d}]\n"


def message(tmp_path: Path, text: str, *overrides: str) -> str:
    """What is wrong with a file."""
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
        + RIGHT
        + "settings: {model_type: *o, device: *o}\nclassification_params: {pooling: *o, top_n_values: *o}\n",
        MERGES + RIGHT + "settings: *o\n",
        "a: &a [*a]\nmodels: *a\nsettings: *a\ndatasets: *a\n",
        "a: &a {b: *a}\nmodels: [*a]\nsettings: *a\n",
        f"models: {'[' * 5000}",
        f"models: {'[' * 5000}{']' * 5000}",
        "\n".join(f"key{i}: 1" for i in range(5000)),
        f"{'k' * 500}: 1\n",
        RIGHT + f"settings: {{seed: {'9' * 5000}}}",
        RIGHT + f"settings: {{seed: 0x{'f' * 50_000}}}",
        RIGHT + f"settings: {{model_type: {'x' * 1_000_000}}}",
        f"models: [{{name: {'x' * 1_000_000}, layers: 1}}]\ndatasets: [{{name: d}}]",
        f"models: [{{name: m, layers: 1, widths: [{', '.join(['../x'] * 5000)}]}}]\ndatasets: [{{name: d}}]",
        RIGHT + "settings: {base_save_dir: 2020-13-45}",
        *(RIGHT + f"settings: {{seed: !!{bad}}}" for bad in ("int x", "bool x", "timestamp x", "float x", 'int ""')),
    ],
    ids=lambda text: repr(text[-24:]),
)
def test_a_hostile_file_is_a_short_mistake(tmp_path: Path, text: str) -> None:
    said = message(tmp_path, text)
    assert len(said) < 6000
    assert max(map(len, said.splitlines())) < 700


def test_ten_thousand_layers_are_one_mistake(tmp_path: Path) -> None:
    said = message(
        tmp_path, f"models: [{{name: m, layers: {list(range(10_000))}, widths: 1k}}]\ndatasets: [{{name: d}}]"
    )
    first, line = said.splitlines()
    assert first.endswith(": 1 mistake")
    assert line.startswith("  models[0].layers: [0, 1, 2, 3,")
    assert "(10,000 values): list should have at most 1000 items" in line
    assert len(line) < 250


def test_what_merges_give_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text(
        f"settings: {{<<: [{{seed: 3, dtype: float32}}, {{seed: 4, max_length: 9}}], dtype: float16}}\n{RIGHT}"
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
def test_long_overrides_are_cut(tmp_path: Path, override: str) -> None:
    assert len(message(tmp_path, RIGHT, override)) < 400


@pytest.mark.parametrize("name", ["x" * 300, "a/" + "é" * 200, '"a\\0b"'])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    text = f"models: [{{name: {name}, layers: 1, widths: 1k}}]\ndatasets: [{{name: {name}}}]"
    assert message(tmp_path, text).count("no file can be called that") == 2


@pytest.mark.parametrize("given", ["{" + "[" * 5000, "x" * 300 + ".yaml"])
def test_a_class_map_that_cannot_be_read(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_class_map(given)
    assert len(str(caught.value)) < 800


def test_a_nested_class_map(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(LAUGHS)
    with pytest.raises(ConfigError, match="a class maps to the name of one class") as caught:
        read_class_map(str(path))
    assert len(str(caught.value)) < 300
