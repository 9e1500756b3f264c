"""settings.positions: cls, from tokens to classifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saefari.models.hooks import HookPoint
from saefari.pipeline.commands.cli import main, run_experiments
from saefari.store import iter_hidden_positions

from .tiny import SHORT, Raw, classified, plan_of


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_one_position_per_row(
    raw: Raw,
    saved: Callable[..., list[str]],
    tmp_path: Path,
    save_tiny: Callable[..., Path],
    load_tiny: Callable[..., Any],
    save_sae: Callable[..., Any],
    kind: str,
) -> None:
    save_sae(tmp_path / "given", "blocks.1.hook_resid_post", 32)
    given = {"layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "given")}
    raw |= {"models": [{"name": str(save_tiny(kind)), **given}], "sae_training": []}
    raw["settings"] |= {"positions": "cls", "store_positions": True}
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    (record,) = tmp_path.rglob("samples.json")
    assert json.loads(record.read_text())["settings"]["positions"] == "cls"
    (stored,) = iter_hidden_positions(record.parent / "layer_1" / "hidden")
    assert np.diff(stored.offsets).tolist() == [1] * 120
    model, hook = load_tiny(kind), HookPoint(1, "resid_post")
    texts = [json.loads(line)["text"] for line in (tmp_path / "texts.jsonl").read_text().splitlines()]
    for row in (0, 7, 119):
        states = model.capture([model.tokenizer.tokenize([texts[row]], 64)[0].input_ids], [hook])[hook]
        np.testing.assert_allclose(stored.positions[row], states[0, 0], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("act_only", [False, True])
def test_through_every_stage(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path, save_tiny: Callable[..., Path], act_only: bool
) -> None:
    raw["models"][0]["name"] = str(save_tiny("bert"))
    raw["settings"] |= {"positions": "cls", "act_only": act_only}
    raw["sae_training"] = [{"architecture": "topk", "d_sae": 48, **SHORT, "batch_size": 64, "buffer_size": 64}]
    assert run_experiments(saved(raw)) == 0
    assert classified(tmp_path) == {(1, "topk"), (2, "topk")}


def test_stored_rows_of_other_positions_are_not_classified(
    raw: Raw, saved: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    raw["sae_training"] = [{"d_sae": 48, **SHORT, "batch_size": 64}]
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    raw["settings"]["positions"] = "cls"
    for flags in (["--classify-only"], []):
        assert run_experiments([*saved(raw), *flags]) == 1
        assert "positions: " in (printed := capsys.readouterr().out)
        assert "cls" in printed


def test_default_positions_are_not_recorded(raw: Raw, saved: Callable[..., list[str]], tmp_path: Path) -> None:
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    (record,) = tmp_path.rglob("samples.json")
    assert "positions" not in json.loads(record.read_text())["settings"]


def test_one_off_classification_uses_the_stored_positions(
    raw: Raw,
    saved: Callable[..., list[str]],
    tmp_path: Path,
    save_tiny: Callable[..., Path],
    save_sae: Callable[..., Any],
) -> None:
    save_sae(tmp_path / "given", "blocks.1.hook_resid_post", 32)
    raw["settings"]["positions"] = "cls"
    raw["sae_training"] = []
    given = ["--sae-path", str(tmp_path / "given")]
    raw["models"][0] |= {"name": str(save_tiny("bert")), "layers": [1], "widths": ["64"], "sae_path": given[1]}
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    places = ["--input-dir", str(tmp_path / "activations"), "--output-dir", str(tmp_path / "classifications")]
    model = ["--model-name", raw["models"][0]["name"], "--layer", "1", "--width", "64"]
    data = ["--dataset-name", str(tmp_path / "texts.jsonl")]
    assert main(["classify", *model, *given, *places, *data]) == 0
    assert classified(tmp_path) == {(1, "64")}


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_model_without_class_token_is_an_error(
    raw: Raw,
    saved: Callable[..., list[str]],
    save_tiny: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    dry: list[str],
) -> None:
    raw["models"][0]["name"] = str(save_tiny("gpt2"))
    raw["settings"]["positions"] = "cls"
    assert run_experiments([*saved(raw), *dry]) == 2
    message = capsys.readouterr().err
    assert "settings.positions: 'cls' selects the special token at the start of a text" in message
    assert "use tokens" in message


def test_a_corpus_with_class_tokens_is_an_error(raw: Raw, tmp_path: Path) -> None:
    raw["settings"]["positions"] = "cls"
    raw["sae_training"][0]["corpus"] = {"name": str(tmp_path / "texts.jsonl")}
    with pytest.raises(Exception, match=r"sae_training\[0\]\.corpus: needs positions: tokens"):
        plan_of(raw)
