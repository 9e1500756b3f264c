"""The output tree of the browser tests: real documentation, and rows of markup that must be shown as text."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from app.shared.data.file_cache import short_id
from saefari.store import read_codes_rows, read_predictions, read_result, write_json

ROOT = Path(__file__).resolve().parents[3]
MODEL = "sentence-transformers--all-MiniLM-L6-v2"
MARKUP = '<img src="/nowhere.png" onerror="window.ran = true"><script>window.ran = true</script>'
MARKUP_CLASSES = ("<script>window.ran = true</script>", '<b onmouseover="window.ran = true">bold</b>', "plain")
NAME, EXPLANATION = "the word <i>gradients</i>", f"<b>names</b> of tensors {MARKUP}"
"""Name and sentence of the latent `explained`."""
DOUBTFUL = "arrays"
"""Name of the latent `doubtful`, which scores no better than its controls."""
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

    @cached_property
    def doubtful(self) -> int:
        """A latent whose explanation is no better than its controls: that of the tree's first split."""
        return int(read_result(self.sae_result)["classifiers"]["tree"]["nodes"][0]["feature"])

    @property
    def explained(self) -> int:
        """A latent with an explanation: of those that speak for the SAE result's first class, the strongest."""
        return self._strongest[0]

    @property
    def example(self) -> tuple[int, int]:
        """(test row, position) with the largest activation of the latent `explained`."""
        return self._strongest[1:]

    @cached_property
    def _strongest(self) -> tuple[int, int, int]:
        scores = read_result(self.sae_result)["classifiers"]["linear"]
        first_class = next(iter(scores["top_features"].values()))
        speak_for = [int(entry["feature"]) for entry in first_class if entry["weight"] > 0]
        candidates = [latent for latent in speak_for if latent != self.doubtful]
        peaks = []
        for row in read_predictions(self.sae_result, "linear").rows.tolist():
            codes = read_codes_rows(self.samples / "layer_3/3k", [row]).to_csr()[:, candidates].toarray()
            position, place = np.unravel_index(codes.argmax(), codes.shape)
            peaks.append((float(codes.max()), candidates[place], row, int(position)))
        _, latent, row, position = max(peaks)
        return latent, row, position

    def title(self, latent: int) -> str:
        """How pages call a latent."""
        return {self.explained: NAME, self.doubtful: DOUBTFUL}.get(latent, f"latent {latent}")


def make_small_tree(folder: Path) -> None:
    """Run conf.yaml with fewer rows, a smaller SAE and the rows of markup; then write two explanations."""
    output = folder / "output"
    config = folder / "small.yaml"
    config.write_text(yaml.safe_dump(_config(output, _write_markup(folder / "markup.jsonl"))))
    command = [sys.executable, "run_experiments.py", "--config", str(config)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tree = SmallTree(output)
    folder = output / "explanations" / MODEL / "layer_3" / "3k"
    for latent, name, sentence, value in (
        (tree.explained, NAME, EXPLANATION, 0.75),
        (tree.doubtful, DOUBTFUL, "arrays of numbers", 0.5),
    ):
        score = {"value": value, "interval": [value - 0.05, value + 0.05], "controls": {"shuffled": {"value": 0.52}}}
        record = {"name": name, "explanation": sentence, "explainer": "lexical", "scores": {"detection": score}}
        write_json(folder / f"{latent}.json", record)


def _config(output: Path, markup: Path) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "conf.yaml").read_text())
    config.pop("explain", None)  # the tests write their own explanations
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
