"""The digits example end to end: vision model, SAEs, codes, classifiers, heat maps, live prediction."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from saefari.pipeline.commands.cli import run_experiments
from saefari.pipeline.live.predict import predict_image
from saefari.store import Layout, read_heat_map

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits.yaml"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of the example with a third of the epochs and a tenth of the positions: about a minute."""
    root = tmp_path_factory.mktemp("digits")
    raw: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    raw["settings"] |= {
        "base_save_dir": str(root / "activations"),
        "base_classify_dir": str(root / "classifications"),
        "n_bootstrap": 100,
    }
    raw["vision_training"]["epochs"] = 10
    raw["models"][0]["layers"] = [0]
    raw["sae_training"][0]["n_positions"] = 60_000
    (root / "digits.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(root / "digits.yaml")]) == 0
    return root


@pytest.mark.slow
def test_latents_separate_digits(root: Path) -> None:
    record = json.loads((root / "models" / "digits-cnn" / "training.json").read_text())
    assert record["accuracy"]["test"] >= 0.93
    summary = pd.read_csv(root / "classifications" / "summary.csv")
    best = summary[summary.classifier == "linear"].groupby("source").macro_f1.max()
    assert best["sae"] >= 0.93
    assert set(best.index) == {"sae", "hidden", "pixels"}
    quality = json.loads(next(root.rglob("saes/digits-cnn/layer_0/*/quality.json")).read_text())
    assert quality["fvu"] < 0.3


@pytest.mark.slow
def test_heat_maps_and_top_images_are_in_the_store(root: Path) -> None:
    top = pd.read_csv(next(root.rglob("top_images.csv")))
    first = top.iloc[0]
    codes = next(path for path in root.rglob("activations/digits-cnn/digits/train/layer_0/jumprelu"))
    _, heat = read_heat_map(codes, int(first["row"]), int(first["latent"]))
    assert heat.shape == (8, 8)
    assert heat.reshape(-1)[int(first["patch"])] == pytest.approx(heat.max()) == pytest.approx(first["activation"])
    assert len(list(root.rglob("heat_maps.png"))) == len(list(root.rglob("top_images.png"))) == 1


@pytest.mark.slow
def test_live_prediction_equals_the_stored_one(root: Path) -> None:
    """The model was trained in the run; its path is not given."""
    folder = next(path for path in root.rglob("layer_0/jumprelu/max_*") if "classifications" in path.parts)
    stored = pq.read_table(folder / "predictions.parquet").to_pylist()[0]
    pixels = np.rint(load_digits().images[stored["row"]] * (255 / 16)).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    answer = predict_image(Layout.below(root), folder, "linear", buffer.getvalue(), None)
    np.testing.assert_allclose(answer.probabilities, [stored[f"linear:{name}"] for name in answer.classes], atol=1e-5)
