"""SAE folders as `SAE.save_model` writes them by default: their metadata names no hook point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from sae_lens import StandardSAE, StandardSAEConfig

from saefari.names import HIDDEN
from saefari.pipeline.commands.cli import main, run_experiments
from saefari.pipeline.live.predict import predict_text
from saefari.store import Layout, Manifest, read_last_run

from ..tiny import Raw, tiny_settings

UNNAMED = "the SAE '64' of layer 1: its metadata names no hook point, so it reads blocks.1.hook_resid_post, from "


def save_exact(folder: Path) -> None:
    """An SAE that reconstructs any hidden state of 32 values: each latent is one value's positive or negative part."""
    sae = StandardSAE(StandardSAEConfig(d_in=32, d_sae=64))
    both = torch.cat([torch.eye(32), -torch.eye(32)])
    sae.load_state_dict({"W_enc": both.T, "W_dec": both, "b_enc": torch.zeros(64), "b_dec": torch.zeros(32)})
    sae.save_model(folder)


def name_hook(folder: Path, hook: str) -> None:
    config = json.loads((folder / "cfg.json").read_text())
    config["metadata"]["hook_name"] = hook
    (folder / "cfg.json").write_text(json.dumps(config))


@pytest.fixture
def raw(tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any]) -> Raw:
    """Two datasets, and an SAE that names no hook point, in the output tree."""
    for seed, name in enumerate(("one", "two")):
        write_texts(tmp_path / f"{name}.jsonl", 120, seed=seed)
    save_exact(tmp_path / "saes" / "mine")
    assert "hook" not in (tmp_path / "saes" / "mine" / "cfg.json").read_text()
    sae = {"layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "saes" / "mine")}
    return {
        "settings": tiny_settings(tmp_path),
        "models": [{"name": str(save_tiny("gpt2")), **sae}],
        "datasets": [{"name": str(tmp_path / f"{name}.jsonl"), "text_field": "text"} for name in ("one", "two")],
    }


def run(root: Path, raw: Raw, *flags: str) -> int:
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    return run_experiments(["--config", str(root / "conf.yaml"), *flags])


def warnings(root: Path) -> list[str]:
    """Warnings of the last run about the SAE."""
    return [text for text in read_last_run(Layout.below(root).last_run).warnings if "the SAE" in text]


def manifests(root: Path) -> list[Manifest]:
    """Manifests of the codes, by dataset."""
    found = [Manifest.load(path.parent) for path in sorted(root.rglob("manifest.json")) if path.parent.name != HIDDEN]
    return [manifest for manifest in found if manifest is not None]


def codes_of(root: Path) -> list[list[str]]:
    return [[shard.sha256 for shard in manifest.shards] for manifest in manifests(root)]


def test_layer_and_location_of_the_configuration_are_used(raw: Raw, tmp_path: Path, capsys: Any) -> None:
    assert run(tmp_path, raw, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "reads blocks.1.hook_resid_post (assumed from layers and settings.sae_location" in printed
    assert run(tmp_path, raw) == 0
    assert UNNAMED in capsys.readouterr().out
    (warning,) = warnings(tmp_path)
    assert UNNAMED in warning
    assert str(tmp_path) not in warning
    assert {manifest.facts["hook"] for manifest in manifests(tmp_path)} == {"blocks.1.hook_resid_post"}
    assert all(manifest.stats["explained_variance"] > 0.999 for manifest in manifests(tmp_path))
    assumed = codes_of(tmp_path)
    folder = next(tmp_path.glob("classifications/*/*one/train/layer_1/64/*_bin-none"))
    model = raw["models"][0]["name"]
    answer = predict_text(Layout.below(tmp_path), folder, "linear", "the cat", model)
    assert answer.codes is not None
    assert answer.codes.shape == (2, 64)

    named, there = tmp_path / "named", tmp_path / "saes" / "mine"
    save_exact(named / "saes")
    name_hook(named / "saes", "blocks.1.hook_resid_post")
    raw["models"][0]["sae_path"] = str(named / "saes")
    raw["settings"] |= tiny_settings(named)
    assert run(named, raw, "--extract-only") == 0
    assert warnings(named) == []
    assert codes_of(named) == assumed
    stored = [next(root.glob("activations/*/*two/train/layer_1/64")) for root in (tmp_path, named)]
    assert main(["transfer", "--train", str(folder.parent), "--test", str(stored[1]), "--rows", "all"]) == 0

    raw["models"][0]["sae_path"] = str(there)
    raw["settings"] |= tiny_settings(tmp_path) | {"sae_location": "mlp"}
    assert run(tmp_path, raw, "--classify-only") == 1
    assert "hook: 'blocks.1.hook_resid_post' -> 'blocks.1.hook_mlp_out'" in capsys.readouterr().out


def test_stored_positions_are_encoded_too(raw: Raw, tmp_path: Path) -> None:
    raw["settings"] |= {"act_only": True, "sae_location": "mlp"}
    raw["datasets"] = raw["datasets"][:1]
    assert run(tmp_path, raw, "--extract-only") == 0
    assert run(tmp_path, raw, "--classify-only") == 0
    assert len(warnings(tmp_path)) == 1
    (manifest,) = manifests(tmp_path)
    assert manifest.facts["hook"] == "blocks.1.hook_mlp_out"
    assert manifest.stats["explained_variance"] > 0.999


def test_one_off_commands(raw: Raw, tmp_path: Path) -> None:
    model = raw["models"][0]
    sae = ["--sae-path", model["sae_path"], "--width", "64", "--layer", "1", "--model-name", model["name"]]
    places = ["--dataset-name", raw["datasets"][0]["name"]]
    assert main(["extract", *sae, *places, "--save-dir", str(tmp_path / "activations")]) == 0
    places = ["--input-dir", str(tmp_path / "activations"), "--output-dir", str(tmp_path / "classifications")]
    assert main(["classify", *sae, *places, "--top-n", "3", "--tree-depth", "1"]) == 0
    assert list(tmp_path.glob("classifications/*/*one/train/layer_1/64/*/results.json"))


def test_a_wrong_hook_point_is_a_warning(raw: Raw, tmp_path: Path) -> None:
    sae = StandardSAE(StandardSAEConfig(d_in=32, d_sae=64))
    generator = torch.Generator().manual_seed(0)
    sae.load_state_dict({name: torch.randn(old.shape, generator=generator) for name, old in sae.state_dict().items()})
    sae.save_model(tmp_path / "saes" / "mine")
    assert run(tmp_path, raw, "--extract-only") == 0
    found = dict.fromkeys(warnings(tmp_path))
    assert len(found) >= 2
    assert any("variance" in text and "check layers and settings.sae_location" in text for text in found)
