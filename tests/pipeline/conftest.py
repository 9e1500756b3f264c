"""A configuration that trains SAEs, its saved file, and two runs that share an SAE."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari.pipeline.execute import run_plan

from .tiny import SHORT, Raw, tiny_settings
from .transfer_runs import Run, make_run


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classify in the process of the test unless it sets n_jobs: every other process imports the libraries anew."""
    monkeypatch.setattr(run_plan, "available_cores", lambda: 1)


@pytest.fixture
def raw(tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any]) -> Raw:
    """A tiny model, a small dataset, and two SAEs to train at two layers."""
    write_texts(tmp_path / "texts.jsonl", 120)
    return {
        "settings": tiny_settings(tmp_path),
        "models": [{"name": str(save_tiny("llama")), "layers": [1, 2]}],
        "sae_training": [{"d_sae": [48, 64], **SHORT}],
        "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
    }


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Raw], list[str]]:
    """saved(raw): write the configuration to a file and return the flags for it."""

    def save(raw: Raw) -> list[str]:
        (tmp_path / "conf.yaml").write_text(yaml.safe_dump(raw))
        return ["--config", str(tmp_path / "conf.yaml")]

    return save


@pytest.fixture(scope="session")
def transfer_runs(
    tmp_path_factory: pytest.TempPathFactory,
    save_tiny: Callable[..., Path],
    save_sae: Callable[..., Any],
    write_texts: Callable[..., Any],
) -> Path:
    """`one` (a Llama) and `two` (a GPT-2): two models, two datasets, one SAE."""
    root = tmp_path_factory.mktemp("runs")
    save_sae(root / "sae", "blocks.1.hook_resid_post", 32)
    for seed, (name, kind) in enumerate((("one", "llama"), ("two", "gpt2"))):
        (root / name).mkdir()
        make_run(root / name, save_tiny(kind), root / "sae", seed, write_texts)
    return root


@pytest.fixture
def runs(transfer_runs: Path, tmp_path: Path) -> tuple[Run, Run]:
    """Copies of both runs, for tests that change them."""
    for name in ("one", "two"):
        shutil.copytree(transfer_runs / name, tmp_path / name)
        conf = tmp_path / name / "conf.yaml"
        conf.write_text(conf.read_text().replace(str(transfer_runs / name), str(tmp_path / name)))
    return Run(tmp_path / "one"), Run(tmp_path / "two")
