"""A finished run of a tiny text model, read through the front."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import saefari
from saefari.pipeline.commands.cli import run_experiments
from tests.pipeline.tiny import tiny_settings

MODEL, EXPLANATION = "models/tiny-bert", "texts that begin with a river"


@pytest.fixture(scope="session")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory, save_tiny: Callable[..., Path], write_texts: Callable[..., Any]
) -> Path:
    """The folder where `run_experiments.py` ran; the model's path is relative to it, the tree is its `output`."""
    root = tmp_path_factory.mktemp("front")
    shutil.copytree(save_tiny("bert"), root / MODEL)
    write_texts(root / "texts.jsonl", 240, longest=10)
    training = {"k": 6, "n_positions": 4096, "batch_size": 128, "buffer_size": 256}
    raw = {
        "settings": tiny_settings(Path("output"), max_length=8, max_samples=160),  # a row's number is not its place
        "models": [{"name": MODEL, "layers": [1], "widths": ["64"], "sae_train": training, "random_sae": True}],
        "datasets": [{"name": "texts.jsonl", "text_field": "text"}],
        "classification_params": {"top_n_values": [0, 3], "hidden_pooling": ["mean"]},
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert run_experiments([]) == 0
    return root


@pytest.fixture
def tree(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[saefari.Tree]:
    """The tree of the run, read from where the run was started."""
    monkeypatch.chdir(run_folder)
    return saefari.open_tree()


@pytest.fixture(scope="session")
def explained(run_folder: Path) -> int:
    """A latent of the run's SAE that has an explanation."""
    latents = saefari.open_tree(run_folder / "output").best(source="sae", classifier="linear").top_latents(1)
    latent = int(latents["latent"].iloc[0])
    folder = run_folder / "output/explanations/models--tiny-bert/layer_1/64"
    folder.mkdir(parents=True)
    (folder / f"{latent}.json").write_text(json.dumps({"explanation": EXPLANATION, "scores": {}}))
    return latent
