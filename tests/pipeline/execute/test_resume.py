"""A killed run resumes with the same command, and its shards equal those of an uninterrupted run."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
N_ROWS = 9000  # five shards


def command(config: Path, *flags: str) -> list[str]:
    return [sys.executable, str(ROOT / "run_experiments.py"), "--config", str(config), "--extract-only", *flags]


def run(config: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(config, *flags), capture_output=True, text=True, check=False)


def digests(tree: Path) -> dict[str, str]:
    return {
        str(path.relative_to(tree)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(tree.rglob("*"))
        if path.suffix in (".npz", ".parquet", ".json", ".safetensors")
    }


@pytest.fixture
def config(tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., None]) -> Callable[[str], Path]:
    """config(name) -> a YAML file whose output goes below tmp_path / name."""
    write_texts(tmp_path / "texts.jsonl", N_ROWS)

    def write(name: str) -> Path:
        content = {
            "settings": {
                "base_save_dir": str(tmp_path / name / "activations"),
                "base_classify_dir": str(tmp_path / name / "classifications"),
                "device": "cpu",
            },
            "models": [
                {
                    "name": str(save_tiny("gpt2")),
                    "layers": [1, 2],
                    "widths": ["64"],
                    "sae_train": {"k": 4, "n_positions": 20_000, "batch_size": 1024, "buffer_size": 4096},
                }
            ],
            "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def sweep(config: Callable[[str], Path]) -> Callable[[str], Path]:
    """sweep(name) -> as `config`, training four SAEs at each of two layers, with a checkpoint at nearly every step."""

    def write(name: str) -> Path:
        path = config(name)
        content = yaml.safe_load(path.read_text())
        del content["models"][0]["sae_train"], content["models"][0]["widths"]
        content["settings"] |= {"checkpoint_minutes": 0.0005, "max_samples": 1500}
        stream = {"d_sae": 64, "n_positions": 60_000, "batch_size": 512, "buffer_size": 2048}
        content["sae_training"] = [
            {"architecture": "batchtopk", "k": [4, 8], **stream},
            {"architecture": "standard", "resample": {"every": 0.1, "until": 0.6}, **stream},
            {"architecture": "jumprelu", "target_l0": 4, **stream},
        ]
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def killed_when(config: Path, reached: Callable[[], bool]) -> None:
    """Start the run and send SIGKILL once a condition holds."""
    process = subprocess.Popen(command(config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and not reached():
        assert time.monotonic() < deadline, "the run never got there"
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_sigkill_and_resume(config: Callable[[str], Path], tmp_path: Path) -> None:
    whole = config("whole")
    first = run(whole)
    assert first.returncode == 0, first.stderr
    expected = digests(tmp_path / "whole")
    assert sum(name.endswith(".npz") and "activations" in name for name in expected) == 4 * 5

    killed = config("killed")
    tree = tmp_path / "killed"
    # While the SAEs train, in the middle of extraction, and once more later.
    killed_when(killed, lambda: any(tree.rglob("split.json")))
    killed_when(killed, lambda: len(list(tree.rglob("layer_2/64/shard-*.npz"))) >= 1)
    killed_when(killed, lambda: len(list(tree.rglob("layer_2/64/shard-*.npz"))) >= 3)
    resumed = run(killed)
    assert resumed.returncode == 0, resumed.stderr
    assert re.search(r"resuming at row [\d,]+ of 9,000", resumed.stderr)
    assert digests(tree) == expected
    assert not list(tree.rglob("*.tmp"))

    again = run(killed)
    assert again.returncode == 0
    assert "complete, every shard verified" in again.stderr
    assert "loading" not in again.stderr, "a complete tree needs no model"


@pytest.mark.slow
def test_sigkill_in_the_middle_of_training(sweep: Callable[[str], Path], tmp_path: Path) -> None:
    whole, killed = sweep("whole"), sweep("killed")
    first = run(whole)
    assert first.returncode == 0, first.stderr
    trees = [tmp_path / name / "saes" for name in ("whole", "killed")]
    expected = digests(trees[0])
    assert sum(name.endswith("sae_weights.safetensors") for name in expected) == 8

    def at_step(step: int) -> Callable[[], bool]:
        return lambda: any(int(file.stem[-9:]) >= step for file in trees[1].rglob("step-*.safetensors"))

    for step in (5, 40, 90):
        killed_when(killed, at_step(step))
    resumed = run(killed)
    assert resumed.returncode == 0, resumed.stderr
    assert digests(trees[1]) == expected
    assert not list(trees[1].rglob(".checkpoint*"))


@pytest.mark.slow
def test_a_damaged_shard_is_reported_and_written_again(config: Callable[[str], Path], tmp_path: Path) -> None:
    path = config("damaged")
    assert run(path).returncode == 0
    expected = digests(tmp_path / "damaged")
    shard = next((tmp_path / "damaged").rglob("layer_1/64/shard-00003.npz"))
    shard.write_bytes(shard.read_bytes()[:-100])
    result = run(path)
    assert result.returncode == 0
    assert "written again because missing or damaged: shard-00003.npz" in result.stderr
    assert digests(tmp_path / "damaged") == expected


@pytest.mark.slow
def test_other_settings_never_reuse_old_shards(config: Callable[[str], Path], tmp_path: Path) -> None:
    path = config("changed")
    assert run(path).returncode == 0
    before = digests(tmp_path / "changed")
    conflicting = run(path, "--set", "settings.max_length=8")
    assert conflicting.returncode == 1
    assert "max_length: 512 -> 8" in conflicting.stdout
    assert "--overwrite" in conflicting.stdout
    after = digests(tmp_path / "changed")
    assert {name: d for name, d in after.items() if "last_run" not in name} == {
        name: d for name, d in before.items() if "last_run" not in name
    }
    assert run(path, "--set", "settings.max_length=8", "--overwrite").returncode == 0
