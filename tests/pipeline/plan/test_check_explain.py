"""Mistakes in the section `explain` that depend on files and on the explained model are found before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari.pipeline.commands.cli import BAD_INPUT, OK, main
from tests.pipeline.tiny import SHORT, tiny_settings

CLIENT = {"kind": "openai", "model": "test", "base_url": "http://127.0.0.1:9/v1", "key_variable": None}
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(
    tmp_path: Path,
    save_tiny: Callable[..., Path],
    write_texts: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> Check:
    """Dry run of a configuration with the given model and section `explain`: exit code and errors."""

    def dry_run(kind: str, **explain: Any) -> tuple[int, str]:
        write_texts(tmp_path / "texts.jsonl", 40)
        raw = {
            "settings": tiny_settings(tmp_path),
            "models": [{"name": str(save_tiny(kind)), "layers": [1], "widths": ["48"], "sae_train": SHORT}],
            "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
            "explain": explain,
        }
        (tmp_path / "conf.yaml").write_text(yaml.safe_dump(raw))
        code = main(["run", "--config", str(tmp_path / "conf.yaml"), "--dry-run"])
        return code, capsys.readouterr().err

    return dry_run


def test_intervention_needs_a_model_that_writes_and_no_client(check: Check) -> None:
    code, errors = check("bert", scorers=["intervention"])
    assert code == BAD_INPUT
    assert "explain.scorers: intervention needs a model that writes" in errors
    assert check("llama", scorers=["intervention"])[0] == OK


def test_promoted_tokens_need_a_language_head(check: Check) -> None:
    prompting = {"promoted_tokens": True}
    code, errors = check("bert", explainers=["prompted"], prompting=prompting, client=CLIENT)
    assert code == BAD_INPUT
    assert "explain.prompting.promoted_tokens: " in errors
    assert "is an encoder without a language head" in errors
    assert check("llama", explainers=["prompted"], prompting=prompting, client=CLIENT)[0] == OK
    assert check("bert", explainers=["lexical"], prompting=prompting)[0] == OK


def test_mistakes_in_the_file_of_human_explanations_are_found(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "human.csv"
    code, errors = check("llama", explainers="human", file=str(path))
    assert code == BAD_INPUT
    assert "human.csv' does not exist" in errors
    path.write_text("latent,texts\n1,colours\n")
    code, errors = check("llama", explainers="human", file=str(path))
    assert code == BAD_INPUT
    assert "has no column text" in errors
    path.write_text("latent,text\n1,colours\n")
    assert check("llama", explainers="human", file=str(path))[0] == OK
