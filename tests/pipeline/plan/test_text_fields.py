"""One split read from two text columns: separate folders, baselines, tables and transfers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saefari.config import parse_config
from saefari.errors import ConfigError
from saefari.pipeline.commands.cli import main, run_experiments
from saefari.pipeline.plan.make_plan import make_plan
from saefari.store import read_result, read_summary

from ..tiny import Raw, tiny_settings

FIELDS = ("text", "translation")


@pytest.fixture
def raw(
    tmp_path: Path, save_tiny: Callable[..., Path], save_sae: Callable[..., Any], write_texts: Callable[..., Any]
) -> Raw:
    """A tiny model over the texts and the translations of one file."""
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 32)
    write_texts(tmp_path / "notices.jsonl", 90)
    rows = [json.loads(line) for line in (tmp_path / "notices.jsonl").read_text().splitlines()]
    lines = [json.dumps(row | {"translation": f"it was {row['text'][::-1]}"}) for row in rows]
    (tmp_path / "notices.jsonl").write_text("\n".join(lines))
    return {
        "settings": tiny_settings(tmp_path),
        "models": [
            {"name": str(save_tiny("llama")), "layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "sae")}
        ],
        "datasets": [{"name": str(tmp_path / "notices.jsonl"), "text_field": field} for field in FIELDS],
    }


def folders(raw: Raw) -> dict[str, str]:
    """text_field -> name of the folder of its split."""
    plan = make_plan(parse_config(raw))
    return {
        str(dataset.spec.text_field): plan.samples(model, dataset, dataset.spec.split).name
        for model, dataset in plan.pairs()
    }


def test_folders_name_the_column_only_if_needed_in_any_order(raw: Raw) -> None:
    both = {"text": "train--text", "translation": "train--translation"}
    assert folders(raw) == both
    raw["datasets"].reverse()
    assert folders(raw) == both
    raw["datasets"].pop()
    assert folders(raw) == {"translation": "train"}


def test_the_same_column_twice_is_an_error(raw: Raw) -> None:
    raw["datasets"].append(dict(raw["datasets"][0]))
    with pytest.raises(ConfigError, match=r"datasets\[2\]\.name: split 'train' .* is already used by datasets\[0\]"):
        make_plan(parse_config(raw))


def test_both_columns_are_separate_from_the_plan_to_the_summary(
    raw: Raw, tmp_path: Path, saved: Callable[[Raw], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments([*saved(raw), "--dry-run"]) == 0
    planned = capsys.readouterr().out
    assert all(f"split train, text_field {field}, " in planned for field in FIELDS)
    assert run_experiments(saved(raw)) == 0
    printed = capsys.readouterr().out
    table = read_summary(tmp_path / "classifications" / "summary.csv")
    for field in FIELDS:
        rows = table[table.text_field == field]
        assert set(rows.source) == {"sae", "hidden", "tfidf", "majority"}
        assert set(rows.split) == {"train"}
        assert rows.folder.str.contains(f"/train--{field}/").all()
        assert f"/train ({field})  " in printed
    words = [read_result(tmp_path / "classifications" / name) for name in table[table.source == "tfidf"].folder]
    assert len({json.dumps(one["classifiers"]["linear"]["top_features"]) for one in words}) == 2
    assert run_experiments(saved(raw)) == 0
    assert "settings reused" in capsys.readouterr().out


def test_classifiers_of_one_column_are_tested_on_the_other(
    raw: Raw, tmp_path: Path, saved: Callable[[Raw], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows are the same, so those that were trained on are left out; the labels name the column."""
    assert run_experiments(saved(raw)) == 0
    base = next((tmp_path / "classifications").glob("*/*/train--text/layer_1/64"))
    other = next((tmp_path / "activations").glob("*/*/train--translation/layer_1/64"))
    capsys.readouterr()
    assert main(["transfer", "--train", str(base), "--test", str(other)]) == 0
    table = read_summary(tmp_path / "classifications" / "summary.csv")
    moved = table[table.trained_on != ""]
    assert set(moved.text_field) == {"translation"}
    assert set(moved.split) == {"train"}


def test_the_one_off_command_lists_what_it_can_classify(
    raw: Raw, tmp_path: Path, saved: Callable[[Raw], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    model = raw["models"][0]
    flags = ["--model-name", model["name"], "--layer", "1", "--width", "64", "--sae-path", model["sae_path"]]
    assert main(["classify", *flags, "--input-dir", str(tmp_path / "activations")]) == 2
    assert "run_experiments.py --classify-only" in capsys.readouterr().err
