"""The output tree of the browser tests: real documentation, and rows of markup that must be shown as text."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.shared.data.file_cache import short_id
from saefari.store import read_result

ROOT = Path(__file__).resolve().parents[3]
MODEL = "sentence-transformers--all-MiniLM-L6-v2"
MARKUP = '<img src="/nowhere.png" onerror="window.ran = true"><script>window.ran = true</script>'
MARKUP_CLASSES = ("<script>window.ran = true</script>", '<b onmouseover="window.ran = true">bold</b>', "plain")
EXPLANATION = f"<b>names</b> of tensors {MARKUP}"
_WORDS = ("a", "river", "runs", "under", "the", "old", "stone", "bridge", "while", "people", "walk", "along", "it")
_ROWS_OF_MARKUP = 60


@dataclass(frozen=True)
class SmallTree:
    """The output tree, with folders and ids of its parts."""

    output: Path

    @property
    def samples(self) -> Path:
        """Rows, codes and hidden states of the documentation."""
        return self.output / "activations" / MODEL / "python-docs" / "train"

    @property
    def sae_result(self) -> Path:
        return self.output / "classifications" / MODEL / "python-docs/train/layer_3/3k/sum_top0_bin-none"

    @property
    def hidden_result(self) -> Path:
        return self.output / "classifications" / MODEL / "python-docs/train/layer_3/hidden/mean"

    @property
    def tfidf_result(self) -> Path:
        return self.output / "classifications/baselines/python-docs/train/tfidf/tfidf"

    @property
    def markup_result(self) -> Path:
        """SAE features of the rows of markup."""
        found = self.output.glob(f"classifications/{MODEL}/*markup/train/layer_3/3k/sum_top0_bin-none")
        return next(found)

    @property
    def sae_folder(self) -> Path:
        return self.output / "saes" / MODEL / "layer_3" / "3k"

    @property
    def sae(self) -> str:
        return short_id(f"{MODEL}/layer_3/3k")

    @property
    def codes(self) -> str:
        return short_id(f"{MODEL}/python-docs/train/layer_3/3k")

    def run(self, folder: Path) -> str:
        """The id of a result."""
        return short_id(folder.relative_to(self.output / "classifications").as_posix())

    def url(self, page: str, folder: Path, classifier: str = "linear") -> str:
        """A page of a result, below the app's address."""
        return f"{page}?run={self.run(folder)}&classifier={classifier}"

    @property
    def explained(self) -> int:
        """The latent with an explanation: the top feature of the SAE result's first class."""
        scores = read_result(self.sae_result)["classifiers"]["linear"]
        return int(next(iter(scores["top_features"].values()))[0]["feature"])


def make_small_tree(folder: Path) -> None:
    """Run conf.yaml with fewer rows, a smaller SAE and the rows of markup; then write an explanation."""
    output = folder / "output"
    config = folder / "small.yaml"
    config.write_text(yaml.safe_dump(_config(output, _write_markup(folder / "markup.jsonl"))))
    command = [sys.executable, "run_experiments.py", "--config", str(config)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tree = SmallTree(output)
    explanation = output / "explanations" / MODEL / "layer_3" / "3k" / f"{tree.explained}.json"
    explanation.parent.mkdir(parents=True)
    explanation.write_text(json.dumps({"explanation": EXPLANATION, "scores": {"detection": 0.75}}))


def _config(output: Path, markup: Path) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "conf.yaml").read_text())
    config["settings"] |= {
        "base_save_dir": str(output / "activations"),
        "base_classify_dir": str(output / "classifications"),
        "max_samples": 320,
        "max_length": 48,
        "n_bootstrap": 100,
        "cv_folds": 3,
        "n_jobs": 1,
    }
    model = config["models"][0]
    model["layers"] = [3]
    model["sae_train"] |= {"n_positions": 10_000, "d_sae": 512, "k": 8}
    config["datasets"].append({"name": str(markup), "text_field": "text", "label_field": "label"})
    config["classification_params"] = {"top_n_values": [0, 20], "binarize_values": [None]}
    return config


def _write_markup(path: Path) -> Path:
    draw = random.Random(0)
    lines = []
    for i in range(_ROWS_OF_MARKUP):
        text = " ".join([*draw.choices(_WORDS, k=8), MARKUP, *draw.choices(_WORDS, k=4)])
        lines.append(json.dumps({"text": text, "label": MARKUP_CLASSES[i % len(MARKUP_CLASSES)]}))
    path.write_text("\n".join(lines) + "\n")
    return path
