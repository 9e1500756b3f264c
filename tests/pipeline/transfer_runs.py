"""Two runs that share an SAE, and the rows that a transfer between them may test on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from saefari.pipeline.commands.cli import main, run_experiments
from saefari.store import Layout, read_samples, read_split

from .tiny import tiny_settings

SETTINGS = ("sum_top0_bin-none", "max_top0_bin-0.5", "count_top3_bin-none")


@dataclass(frozen=True)
class Run:
    """An output tree with one model and one dataset."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout.below(self.root)

    @property
    def samples(self) -> Path:
        (found,) = (path.parent for path in self.layout.activations.rglob("samples.parquet"))
        return found

    @property
    def features(self) -> Path:
        return self.samples / "layer_1" / "64"

    def results(self, *parts: str) -> Path:
        """The folder of a feature source of the run itself."""
        base = self.samples.relative_to(self.layout.activations).parts
        source = ("baselines", *base[1:]) if parts[0] in ("tfidf", "majority") else base
        return self.layout.classifications.joinpath(*source, *parts)

    def transferred(self, train: Run, *parts: str) -> Path:
        """The output folder of a transfer to this run."""
        base = train.samples.relative_to(train.layout.activations).parts
        if parts[0] in ("tfidf", "majority"):
            base = ("baselines", *base[1:])
        return self.results(*parts).parents[len(parts) - 1].joinpath("transfer", *base, *parts)

    def changed(self, **settings: Any) -> int:
        """Run its configuration again with other settings."""
        raw = yaml.safe_load((self.root / "conf.yaml").read_text())
        raw["settings"] |= settings
        (self.root / "conf.yaml").write_text(yaml.safe_dump(raw))
        return run_experiments(["--config", str(self.root / "conf.yaml"), "--overwrite"])


def make_run(root: Path, model: Path, sae: Path, seed: int, write_texts: Callable[..., Any]) -> Run:
    write_texts(root / "texts.jsonl", 260, seed=seed)
    raw = {
        "settings": tiny_settings(root, max_samples=240, positions="tokens"),  # row numbers differ from stored indices
        "models": [{"name": str(model), "layers": [1], "widths": ["64"], "sae_path": str(sae), "random_sae": True}],
        "datasets": [{"name": str(root / "texts.jsonl"), "text_field": "text"}],
        "classification_params": {
            "top_n_values": [0, 3],
            "binarize_values": [None, 0.5],
            "pooling": ["sum", "max"],
            "hidden_pooling": ["mean"],
        },
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(root / "conf.yaml")]) == 0
    return Run(root)


def transfer(train: Path, test: Path, *flags: str) -> int:
    return main(["transfer", "--train", str(train), "--test", str(test), *flags])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def keys(texts: list[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def trained_texts(run: Run) -> set[str]:
    table = read_samples(run.samples, ["text"]).to_pydict()
    return {key for key, part in zip(keys(table["text"]), read_split(run.samples), strict=True) if part == 0}


def fair_rows(train: Run, test: Run) -> list[int]:
    """Indices of the test rows whose text no training row has."""
    texts = keys(read_samples(test.samples, ["text"])["text"].to_pylist())
    seen = trained_texts(train)
    return [i for i in np.flatnonzero(read_split(test.samples) == 1).tolist() if texts[i] not in seen]


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
