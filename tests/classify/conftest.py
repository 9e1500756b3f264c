"""A small tree of extracted features, written with the functions of the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from saefari.classify.job import ClassifyJob, JobInputs, ResultLabels
from saefari.classify.settings import Source
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

WORDS = [
    "probe",
    "latent",
    "hidden",
    "state",
    "layer",
    "token",
    "model",
    "vector",
    "feature",
    "code",
    "sparse",
    "dense",
]

FIRST_OWN = 20


@dataclass(frozen=True)
class Rows:
    """Rows whose codes, hidden states and texts separate the classes imperfectly."""

    labels: list[str | None]
    texts: list[str]
    groups: list[str | None]
    codes: sparse.csr_array
    offsets: np.ndarray
    hidden: np.ndarray


def make_rows(n_rows: int, n_classes: int, seed: int, d_sae: int = 60, d_model: int = 12) -> Rows:
    """Row i has class i % n_classes; each class has its own latents, direction and words, plus noise.

    Class k has the latents FIRST_OWN + 3k and the next two.
    """
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(n_classes, d_model))
    classes = np.arange(n_rows) % n_classes
    lengths = generator.integers(2, 7, size=n_rows)
    lengths[0] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    per_position = np.repeat(classes, lengths)
    values = np.where(
        generator.random((len(per_position), d_sae)) < 0.08, generator.random((len(per_position), d_sae)), 0
    )
    own = (FIRST_OWN + per_position * 3 + generator.integers(0, 3, size=len(per_position))) % d_sae
    fires = generator.random(len(per_position)) < 0.5
    values[np.flatnonzero(fires), own[fires]] += 1 + generator.random(int(fires.sum()))
    words = [[f"{WORDS[c % len(WORDS)]}{c}", *generator.choice(WORDS, 5)] for c in classes]
    return Rows(
        labels=[f"class {c:02d}" for c in classes],
        texts=[" ".join([*generator.permutation(w), str(i)]) for i, w in enumerate(words)],
        groups=[None] * n_rows,
        codes=sparse.csr_array(values.astype(np.float32)),
        offsets=offsets,
        hidden=(centres[classes] + generator.normal(size=(n_rows, d_model))).astype(np.float32),
    )


def write_rows(folder: Path, rows: Rows, parts: np.ndarray, shard_rows: int = 64) -> None:
    """Samples, split, `layer_3/3k` and `layer_3/hidden`."""
    with SamplesWriter(folder, {}) as writer:
        for i, (label, text, group) in enumerate(zip(rows.labels, rows.texts, rows.groups, strict=True)):
            tokens: list[int] = []
            writer.write(
                {"row": i, "id": f"id{i}", "text": text, "label": label, "group": group, "n_tokens": 0}
                | dict.fromkeys(("input_ids", "valid", "span_start", "span_end"), tokens)
            )
    write_split(folder, parts, {}, [])
    n_rows, d_sae = len(rows.labels), rows.codes.shape[1]
    record = read_samples_record(folder)
    assert record is not None
    settings = {"samples": record["sha256"]}
    codes, hidden = Manifest("codes", settings, n_rows), Manifest("hidden", settings, n_rows)
    for index, (start, stop) in enumerate(shard_ranges(n_rows, shard_rows)):
        first, last = rows.offsets[start], rows.offsets[stop]
        part = sparse.csr_array(rows.codes[first:last])
        arrays = codes_arrays(part.indptr, part.indices, part.data, rows.offsets[start : stop + 1] - first, d_sae)
        codes.add(write_shard(folder / "layer_3" / "3k", index, (start, stop), arrays))
        pooled = rows.hidden[start:stop]
        arrays = {"pooled_last": pooled, "pooled_mean": pooled + 1}
        hidden.add(write_shard(folder / "layer_3" / "hidden", index, (start, stop), arrays))
    codes.save(folder / "layer_3" / "3k")
    hidden.save(folder / "layer_3" / "hidden")


def every_fifth_tests(n_rows: int, n_classes: int) -> np.ndarray:
    """int8 [n_rows]: every fifth row of each class is a test row."""
    return (np.arange(n_rows) // n_classes % 5 == 0).astype(np.int8)


MakeJob = Callable[..., ClassifyJob]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of 240 rows in 4 classes."""
    folder = tmp_path_factory.mktemp("activations")
    write_rows(folder, make_rows(240, 4, seed=1), every_fifth_tests(240, 4))
    return folder


@pytest.fixture
def make_job(tree: Path, tmp_path: Path) -> MakeJob:
    """A job on `tree`, or on `samples`; other keywords are settings."""

    def make(
        source: Source = "sae",
        samples: Path = tree,
        test_samples: Path | None = None,
        features: str | None = None,
        places: tuple[str, ...] = ("tiny/rows/train",),
        inputs: str = "abc",
        params: ClassificationParams | None = None,
        out: Path | None = None,
        **settings: Any,
    ) -> ClassifyJob:
        has_features = source in ("sae", "random_sae", "hidden")
        width = "3k" if source in ("sae", "random_sae") else None
        if has_features and features is None:
            features = f"layer_3/{width or 'hidden'}"
        layer = 3 if has_features else None
        labels = ResultLabels(model="tiny", model_type="llm", dataset="rows", split="train", layer=layer, width=width)
        return ClassifyJob(
            source,
            labels,
            JobInputs(samples, test_samples, places, features, inputs),
            params or ClassificationParams(),
            Settings(**({"cv_folds": 3, "n_bootstrap": 200, "tree_depth": 4} | settings)),
            out or tmp_path / "out",
        )

    return make
