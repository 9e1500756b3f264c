"""A small tree of samples, codes and hidden states, with results of the real classification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from flask import Flask
from scipy import sparse

from app.server import create_app
from app.shared.data.one_result import OneResult, find_result
from app.shared.data.samples.selection import SelectedSample, find_selected
from app.shared.data.tree import tree
from saefari.classify.job import ClassifyJob, JobInputs, ResultLabels
from saefari.classify.run import run_classify_job
from saefari.config import ClassificationParams, Settings
from saefari.store import (
    Manifest,
    SamplesWriter,
    codes_arrays,
    read_samples_record,
    shard_ranges,
    write_shard,
    write_split,
)
from tests.app import rendered

CLASSES = ["ant", "bee", "<cat>"]
N_ROWS, D_SAE = 120, 12
FIRST = 1000
"""First row number of the dataset (row numbers are not indices into the files)."""
SOURCES = {"sae": "layer_3/3k", "hidden": "layer_3/hidden", "tfidf": None, "majority": None}


def write_samples(folder: Path) -> None:
    """Rows of four words, one of them the class's own, at which the class's own latent is active."""
    generator = np.random.default_rng(0)
    values = np.where(generator.random((N_ROWS * 4, D_SAE)) < 0.1, generator.random((N_ROWS * 4, D_SAE)), 0)
    with SamplesWriter(folder, {}) as writer:
        for i in range(N_ROWS):
            place, own = int(generator.integers(4)), i % 3 if i % 10 else (i + 1) % 3
            words = [str(word) for word in generator.choice(["the", "for", "and", "but"], 4)]
            words[place] = f"own{own}"
            values[i * 4 + place, own] = 3 + generator.random()
            starts = np.cumsum([0, *(len(word) + 1 for word in words)])
            writer.write(
                {"row": FIRST + i, "id": f"id{i}", "text": " ".join(words), "label": CLASSES[i % 3], "group": None}
                | {"n_tokens": 4, "input_ids": [0] * 4, "valid": [0, 1, 2, 3], "span_start": starts[:4].tolist()}
                | {"span_end": (starts[1:] - 1).tolist()}
            )
    write_features(folder, values, np.arange(N_ROWS + 1) * 4)


def write_features(folder: Path, values: np.ndarray, offsets: np.ndarray) -> None:
    """A split of rows, and codes and hidden states: values [n_positions, d_sae], offsets int [n_rows + 1]."""
    n_rows, d_sae = len(offsets) - 1, values.shape[1]
    write_split(folder, (np.arange(n_rows) % 4 == 0).astype(np.int8), {}, [])
    record = read_samples_record(folder)
    assert record is not None
    matrix = sparse.csr_array(values.astype(np.float32))
    pooled = np.add.reduceat(values, offsets[:-1])[:, :6].astype(np.float32)
    codes = codes_arrays(matrix.indptr, matrix.indices, matrix.data, offsets, d_sae)
    stats = {"stat_counts": (values > 0).sum(axis=0), "stat_n_positions": np.asarray(len(values))}
    for name, one in {"3k": codes | stats, "hidden": {"pooled_last": pooled, "pooled_mean": pooled}}.items():
        manifest = Manifest("codes", {"samples": record["sha256"]}, n_rows, {"d_sae": d_sae})
        (rows,) = shard_ranges(n_rows)
        manifest.add(write_shard(folder / "layer_3" / name, 0, rows, one))
        manifest.save(folder / "layer_3" / name)


def classified_server(output: Path, sources: Mapping[str, str | None]) -> Flask:
    """The app on the tree with results of these sources."""
    write_samples(output / "activations/m/d/train")
    classify(output, sources)
    return create_app(output).server


def classify(
    output: Path,
    sources: Mapping[str, str | None],
    dataset: str = "d",
    model_type: Literal["llm", "vlm", "vit"] = "llm",
) -> None:
    """Classify the rows at activations/m/<dataset>/train with these sources."""
    samples = output / "activations/m" / dataset / "train"
    for source, features in sources.items():
        below = f"m/{dataset}/train/{features}" if features else f"baselines/{dataset}/train/{source}"
        job = ClassifyJob(
            source=source,  # type: ignore[arg-type]
            labels=ResultLabels(
                model="m" if features else "",
                model_type=model_type,
                dataset=dataset,
                split="train",
                layer=3 if features else None,
                width="3k" if source == "sae" else None,
            ),
            inputs=JobInputs(samples, None, (f"m/{dataset}/train",), features, ""),
            params=ClassificationParams(top_n_values=[0], binarize_values=[None], pooling=["max"]),
            settings=Settings(cv_folds=2, n_bootstrap=100, tree_depth=3),
            out=output / "classifications" / below,
        )
        assert run_classify_job(job).failures == []


def ids(source: str, classifier: str = "linear") -> tuple[str, str]:
    rows = tree().index().results
    return str(rows[(rows.source == source) & (rows.classifier == classifier)].run.iloc[0]), classifier


def result(source: str, classifier: str = "linear") -> OneResult:
    return find_result(tree().index(), *ids(source, classifier))


def shown(source: str, classifier: str, row: int) -> SelectedSample:
    return find_selected(*ids(source, classifier), row)


def page() -> ModuleType:
    return rendered.page("samples")
