"""The command line: exit codes, dry runs, one message for all errors."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari.pipeline.commands.cli import main, run_experiments

from ..tiny import tiny_settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def small(tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., None]) -> dict[str, Any]:
    """A configuration of a tiny run, as a mapping."""
    write_texts(tmp_path / "texts.jsonl", 120)
    return {
        "settings": tiny_settings(tmp_path, cv_folds=3),
        "models": [
            {
                "name": str(save_tiny("gpt2")),
                "layers": [1],
                "widths": ["32"],
                "sae_train": {"k": 4, "n_positions": 2048, "batch_size": 256, "buffer_size": 256},
                "random_sae": True,
            }
        ],
        "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
        "classification_params": {"top_n_values": [0, 2], "binarize_values": [None, 0.5]},
    }


@pytest.fixture
def written(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    def write(raw: dict[str, Any]) -> str:
        path = tmp_path / "conf.yaml"
        path.write_text(yaml.safe_dump(raw))
        return str(path)

    return write


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from saefari.pipeline.commands.cli import run_experiments\n"
        "try: run_experiments(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'sae_lens', 'sklearn', 'pandas', 'datasets', 'pydantic')"
        " if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")


def test_run_of_all_stages(
    small: dict[str, Any], written: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments(["--config", written(small)]) == 0
    printed = capsys.readouterr().out
    for word in ("sae", "random_sae", "hidden", "tfidf", "majority", "summary.csv"):
        assert word in printed
    import pandas as pd

    summary = pd.read_csv(Path(small["settings"]["base_classify_dir"]) / "summary.csv")
    sae_rows = summary[summary.source == "sae"]
    assert len(sae_rows) == 4 * 2
    assert set(summary.source) == {"sae", "random_sae", "hidden", "tfidf", "majority"}
    first = summary.drop(columns="seconds")
    assert run_experiments(["--config", written(small)]) == 0
    assert "reused from an earlier run" in capsys.readouterr().out
    second = pd.read_csv(Path(small["settings"]["base_classify_dir"]) / "summary.csv").drop(columns="seconds")
    pd.testing.assert_frame_equal(first, second)


def test_a_trained_sae_with_all_options_is_reused(
    small: dict[str, Any], written: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    small["models"][0]["sae_train"] |= {"architecture": "matryoshka_batchtopk", "matryoshka_widths": [8, 16]}
    for _ in range(2):
        assert run_experiments(["--config", written(small)]) == 0
    assert "reused from an earlier run" in capsys.readouterr().out


def test_act_only_gives_the_same_table(
    small: dict[str, Any], written: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small["settings"]["act_only"] = True
    assert run_experiments(["--config", written(small), "--extract-only"]) == 0
    assert not list(tmp_path.rglob("activations/**/32/shard-*.npz"))
    assert run_experiments(["--config", written(small), "--classify-only"]) == 0
    assert list(tmp_path.rglob("activations/**/32/shard-*.npz"))


def test_classifying_without_features_says_what_to_run(
    small: dict[str, Any], written: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments(["--config", written(small), "--classify-only"]) == 1
    assert "--extract-only" in capsys.readouterr().out


def test_errors_in_models_and_datasets(
    small: dict[str, Any], written: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    small["models"][0]["layers"] = [1, 9]
    small["datasets"][0]["text_field"] = "txt"
    small["settings"]["max_batches"] = 3
    assert run_experiments(["--config", written(small)]) == 2
    message = capsys.readouterr().err
    assert "models[0].layers[1]: 9: " in message
    assert "0 to 3" in message
    assert "datasets[0].text_field" in message
    assert "label" in message
    assert "settings.max_batches" in message
    assert "Traceback" not in message


def test_a_width_that_the_catalogue_lacks_lists_those_it_has(
    small: dict[str, Any], written: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    small["models"] = [{"name": "google/gemma-2-2b", "layers": [5], "widths": ["17k"]}]
    assert run_experiments(["--config", written(small), "--dry-run"]) == 2
    message = capsys.readouterr().err
    assert "'17k'" in message
    assert "16k" in message
    assert "65k" in message


def test_a_missing_model(
    small: dict[str, Any], written: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    small["models"][0]["name"] = "nobody/no-such-model"
    assert run_experiments(["--config", written(small)]) == 2
    assert "models[0].name" in capsys.readouterr().err


def test_gemma_scope_example_is_checked_offline(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_experiments(["--config", str(ROOT / "examples" / "gemma-2-2b.yaml"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "gemma-scope-2b-pt-res" in printed
    assert "blocks.12.hook_resid_post" in printed or "blocks.5.hook_resid_post" in printed


@pytest.mark.parametrize("example", [path.name for path in sorted((ROOT / "examples").glob("*.yaml"))])
def test_every_example_is_valid(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_experiments(["--config", str(ROOT / "examples" / example), "--dry-run"]) == 0, capsys.readouterr().err


def test_one_off_commands(
    small: dict[str, Any], tmp_path: Path, save_sae: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 32)
    shared = ["--model-name", small["models"][0]["name"], "--layer", "1", "--sae-path", str(tmp_path / "sae")]
    shared += ["--width", "64", "--dataset-name", small["datasets"][0]["name"]]
    save = str(tmp_path / "activations")
    assert main(["extract", *shared, "--save-dir", save, "--act-only", "False", "--max-batches", "3"]) == 0
    assert len(list(tmp_path.rglob("layer_1/64/shard-*.npz"))) == 1
    results = tmp_path / "results"
    flags = ["--input-dir", save, "--output-dir", str(results), "--top-n", "3", "--tree-depth", "2", "--save-plots"]
    assert main(["classify", *shared, *flags]) == 0
    assert (results / "summary.csv").exists()
    assert list(results.rglob("*.png"))


def test_the_hub_is_not_contacted_if_everything_is_local(
    small: dict[str, Any], written: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    tried: list[Any] = []

    def refuse(*args: Any, **_: Any) -> None:
        tried.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert run_experiments(["--config", written(small), "--extract-only"]) == 0
    assert tried == []


def test_the_dashboard_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "--no-browser", "--port", "99999999"]) == 2
    assert "cannot listen on 127.0.0.1 port 99999999" in capsys.readouterr().err
