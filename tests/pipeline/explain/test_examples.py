"""The example configurations that ask a language model: an estimate of the cost, and a run against a test server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari.pipeline.commands.cli import OK, main, run_experiments
from saefari.store import read_explanations
from tests.interp.endpoint import Endpoint, Received, Reply, answer
from tests.pipeline.explain.test_asking_run import NAME, replies

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def all_replies(request: Received) -> Reply:
    """Answer the questions of every explainer and scorer of the examples."""
    numbers = re.findall(r"JSON list of (\d+) numbers", json.dumps(request.body["messages"]))
    return answer(json.dumps([i % 7 for i in range(int(numbers[-1]))])) if numbers else replies(request)


@pytest.mark.parametrize("name", ["explain-openrouter", "explain-local-vllm"])
def test_the_dry_run_estimates_the_cost(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "--config", str(EXAMPLES / f"{name}.yaml"), "--dry-run"]) == OK
    assert re.search(r"at most [\d,]+ requests.* prompt tokens .*about \$[\d.]+", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["explain-openrouter", "explain-local-vllm"])
def test_the_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer rows, positions and latents."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-test")
    raw: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    raw["settings"] |= {
        "base_save_dir": str(tmp_path / "activations"),
        "base_classify_dir": str(tmp_path / "classifications"),
        "max_samples": 400,
        "n_jobs": 1,
    }
    raw["models"][0] |= {"layers": [3], "widths": ["256"]}
    raw["models"][0]["sae_train"] |= {"n_positions": 8192, "k": 8}
    raw["classification_params"] = {"top_n_values": [0]}
    raw["explain"] |= {"latents": {"used_by_classifiers": 3}}
    raw["explain"]["sampling"] |= {"min_examples": 6, "test": 6, "inactive": 6}
    with Endpoint(all_replies) as server:
        raw["explain"]["client"] |= {"base_url": server.url}
        (tmp_path / "conf.yaml").write_text(yaml.safe_dump(raw))
        assert run_experiments(["--config", str(tmp_path / "conf.yaml")]) == OK
    folder = next(tmp_path.glob("explanations/*/layer_3/256"))
    found = read_explanations(folder)
    assert found
    for one in found.values():
        assert one.name == NAME["name"]
        assert set(one.scores) == set(raw["explain"]["scorers"])
        assert all({"shuffled", "random_sae"} == score.controls.keys() for score in one.scores.values())
