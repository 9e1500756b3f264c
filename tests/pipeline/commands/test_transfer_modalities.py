"""Transfer between texts of a language model and images of a vision-language model through one SAE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import transformers
import yaml
from PIL import Image
from scipy import sparse
from sklearn.metrics import f1_score

from saefari.pipeline.commands.cli import main, run_experiments
from saefari.store import iter_codes, read_samples, read_split
from tests.tiny_vision import picture, save_vlm, tokenizer

from ..tiny import tiny_settings

CLASSES = ["blue", "red"]
SETTING = "sum_top0_bin-none"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, save_sae: Callable[..., Any]) -> Path:
    """An output tree of both models over rows that have a text and an image."""
    root = tmp_path_factory.mktemp("modalities")
    save_vlm(root / "seer", "paligemma2")
    whole = transformers.AutoModelForImageTextToText.from_pretrained(root / "seer")
    whole.model.language_model.save_pretrained(root / "reader")
    tokenizer().save_pretrained(root / "reader")
    save_sae(root / "sae", "blocks.1.hook_resid_post", 32)
    lines = ["image,text,label"]
    for number in range(60):
        name = CLASSES[number % 2]
        noise = picture(32, 32, seed=number)
        Image.blend(noise, Image.new("RGB", noise.size, name), 0.6).save(root / f"{number}.png")
        lines.append(f"{number}.png,{['the cat sat on', 'a dog is this'][number % 2]} {number},{name}")
    (root / "rows.csv").write_text("\n".join(lines))
    entry = {"layers": [1], "widths": ["64"], "sae_path": str(root / "sae")}
    raw = {
        "settings": tiny_settings(root, image_workers=0),
        "models": [
            {"name": str(root / "reader"), **entry},
            {"name": str(root / "seer"), "model_type": "vlm", "positions": "image", **entry},
        ],
        "datasets": [{"name": str(root / "rows.csv"), "text_field": "text", "image_field": "image"}],
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(root / "conf.yaml")]) == 0
    return root


def run_of(root: Path, model: str, tree: str = "classifications") -> Path:
    """The folder of a model's codes or results."""
    places = [path for path in (root / tree).glob(f"*--{model}/*/*/layer_1/64") if path.is_dir()]
    assert len(places) == 1
    return places[0]


@pytest.mark.parametrize(("train", "test"), [("reader", "seer"), ("seer", "reader")])
def test_a_probe_of_one_modality_reads_the_other(root: Path, train: str, test: str) -> None:
    """All scores are those of scikit-learn on densely pooled codes."""
    places = [str(run_of(root, train)), str(run_of(root, test))]
    assert main(["transfer", "--train", places[0], "--test", places[1]]) == 0
    summary = pd.read_csv(root / "classifications" / "summary.csv", dtype={"width": str})
    moved = summary[summary.trained_on.notna() & (summary.classifier == "linear")]
    moved = moved[moved.folder.str.split("--").str[1].str.startswith(test)]
    assert len(moved) == 1

    features = run_of(root, test, "activations")
    samples = features.parents[1]
    (codes,) = iter_codes(features)
    dense = codes.to_csr().toarray()
    pooled = np.stack([dense[a:b].sum(0) for a, b in zip(codes.offsets, codes.offsets[1:], strict=False)])
    tested = read_split(samples) == 1
    labels = np.asarray(read_samples(samples, ["label"])["label"].to_pylist())[tested]
    probe = skops.io.load(run_of(root, train) / SETTING / "linear.skops", trusted=[])
    guessed = np.asarray(CLASSES)[probe.predict_proba(sparse.csr_array(pooled[tested].astype(np.float32))).argmax(1)]
    assert moved.macro_f1.item() == pytest.approx(f1_score(labels, guessed, average="macro"), abs=1e-6)


def test_hidden_states_of_two_models_are_different_features(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = [str(run_of(root, model).with_name("hidden")) for model in ("reader", "seer")]
    assert main(["transfer", "--train", hidden[0], "--test", hidden[1]]) != 0
    assert "weights" in capsys.readouterr().err
