"""With --classify-only, stored features must match the configuration."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from saefari.fingerprint import file_sha256
from saefari.pipeline.commands.cli import run_experiments

from ..tiny import SHORT, Raw, samples, tiny_settings


@pytest.fixture
def extracted(
    tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., None], save_sae: Callable[..., Any]
) -> dict[str, Any]:
    """The configuration of an extracted tree with a given SAE."""
    write_texts(tmp_path / "texts.jsonl", 120)
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 32)
    raw = {
        "settings": tiny_settings(tmp_path),
        "models": [
            {"name": str(save_tiny("gpt2")), "layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "sae")}
        ],
        "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
    }
    assert run(tmp_path, raw, "--extract-only") == 0
    return raw


def run(tmp_path: Path, raw: dict[str, Any], *flags: str) -> int:
    path = tmp_path / "conf.yaml"
    path.write_text(yaml.safe_dump(raw))
    return run_experiments(["--config", str(path), *flags])


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {str(path): file_sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_test_size_is_applied_with_classify_only(extracted: dict[str, Any], tmp_path: Path) -> None:
    extracted["settings"]["test_size"] = 0.5
    assert run(tmp_path, extracted, "--classify-only") == 0
    summary = pd.read_csv(tmp_path / "classifications" / "summary.csv")
    assert summary.n_test.between(55, 65).all()


def test_saes_trained_on_other_rows_or_with_other_settings_are_refused_each_time(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw["models"][0]["layers"], raw["sae_training"] = [1], [{"d_sae": 48, **SHORT}]
    assert run_experiments(saved(raw)) == 0
    split = samples(tmp_path) / "split.parquet"
    before, results = split.read_bytes(), digests(tmp_path / "classifications")
    raw["settings"]["test_size"] = 0.5
    for _ in range(2):
        capsys.readouterr()
        assert run_experiments([*saved(raw), "--classify-only"]) == 1
        assert "test rows: extract again" in capsys.readouterr().out
        assert split.read_bytes() == before
    raw["settings"]["test_size"] = 0.2
    raw["sae_training"][0]["k"] = 5
    assert run_experiments([*saved(raw), "--classify-only"]) == 1
    assert "k: 4 -> 5" in capsys.readouterr().out
    raw["sae_training"][0]["k"] = 4
    assert run_experiments([*saved(raw), "--classify-only"]) == 0
    assert digests(tmp_path / "classifications") == results


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("settings", "max_length", 9, "max_length: 512 -> 9"),
        ("settings", "max_samples", 50, "sampled"),
        ("datasets", "id_field", "label", "fields.id_field: None -> 'label'"),
    ],
)
def test_rows_of_other_settings_are_not_classified(
    extracted: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    section: str,
    key: str,
    value: Any,
    expected: str,
) -> None:
    changed = copy.deepcopy(extracted)
    (changed[section][0] if section == "datasets" else changed[section])[key] = value
    assert run(tmp_path, changed, "--classify-only") == 1
    assert expected in capsys.readouterr().out


def test_codes_of_another_sae_are_not_classified(
    extracted: dict[str, Any], tmp_path: Path, save_sae: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    save_sae(tmp_path / "other", "blocks.1.hook_mlp_out", 32)
    extracted["models"][0]["sae_path"] = str(tmp_path / "other")
    assert run(tmp_path, extracted, "--classify-only") == 1
    printed = capsys.readouterr().out
    assert "hook: 'blocks.1.hook_resid_post' -> 'blocks.1.hook_mlp_out'" in printed


def test_positions_of_another_hook_are_not_encoded(
    extracted: dict[str, Any], tmp_path: Path, save_sae: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    stored = copy.deepcopy(extracted)
    stored["settings"] |= {"act_only": True, "base_save_dir": str(tmp_path / "stored" / "activations")}
    assert run(tmp_path, stored, "--extract-only") == 0
    save_sae(tmp_path / "other", "blocks.1.hook_mlp_out", 32, 96)
    stored["models"][0] |= {"sae_path": str(tmp_path / "other"), "widths": ["96"]}
    assert run(tmp_path, stored, "--classify-only") == 1
    assert "but the SAE reads blocks.1.hook_mlp_out" in capsys.readouterr().out


def test_a_split_cannot_both_train_and_test(
    extracted: dict[str, Any],
    tmp_path: Path,
    write_texts: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    write_texts(folder / "train.jsonl", 60)
    write_texts(folder / "test.jsonl", 60, 1)
    entry = {"name": str(folder), "text_field": "text"}
    extracted["datasets"] = [{**entry, "split": "train", "test_split": "test"}, {**entry, "split": "test"}]
    assert run(tmp_path, extracted) == 2
    assert "datasets[1].name: split 'test'" in capsys.readouterr().err


def test_changing_the_role_of_a_split_makes_it_again(
    extracted: dict[str, Any], tmp_path: Path, write_texts: Callable[..., None]
) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    write_texts(folder / "train.jsonl", 60)
    write_texts(folder / "test.jsonl", 40, 1)
    entry = {"name": str(folder), "text_field": "text"}
    with_test = copy.deepcopy(extracted) | {"datasets": [{**entry, "split": "train", "test_split": "test"}]}
    alone = copy.deepcopy(extracted) | {"datasets": [{**entry, "split": "test"}]}
    for raw in (with_test, alone, with_test):
        assert run(tmp_path, raw) == 0
    summary = pd.read_csv(tmp_path / "classifications" / "summary.csv")
    rows = summary[(summary.split == "train") & (summary.dataset.str.contains("both"))]
    assert (rows.n_test == 40).all()


def test_a_run_killed_before_the_statistics_is_completed(extracted: dict[str, Any], tmp_path: Path) -> None:
    import json

    manifest = next(tmp_path.rglob("layer_1/64/manifest.json"))
    whole = manifest.read_text()
    cut = json.loads(whole)
    cut["stats"], cut["warnings"] = {}, []
    manifest.write_text(json.dumps(cut))
    assert run(tmp_path, extracted, "--extract-only") == 0
    assert manifest.read_text() == whole
