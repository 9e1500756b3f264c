"""A run with T5: its encoder is read and an SAE is trained, without a language head."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers

from saefari.pipeline.commands.cli import run_experiments
from tests.conftest import random_weights, tokenizer_of

from .tiny import SHORT, Raw, classified


def test_t5_from_texts_to_scores(
    raw: Raw, saved: Callable[[Raw], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = transformers.T5Config(
        vocab_size=40, d_model=32, d_kv=8, d_ff=48, num_layers=3, num_decoder_layers=1, num_heads=4, pad_token_id=0
    )
    random_weights(transformers.T5Model(config)).save_pretrained(tmp_path / "t5")
    tokenizer_of("bert").save_pretrained(tmp_path / "t5")
    raw["models"] = [{"name": str(tmp_path / "t5"), "layers": [1, 2]}]
    raw["sae_training"] = [{"name": "mine", "d_sae": 48, **SHORT}]
    assert run_experiments(saved(raw)) == 0
    assert classified(tmp_path) == {(1, "mine"), (2, "mine")}
    for layer in (1, 2):
        quality = json.loads(
            (tmp_path / "saes" / f"{tmp_path.name}--t5" / f"layer_{layer}/mine/quality.json").read_text()
        )
        assert quality.get("loss_recovered") is None
    raw["models"][0]["layers"] = [3]
    assert run_experiments(saved(raw)) == 2
    assert "has the layers 0 to 2" in capsys.readouterr().err
