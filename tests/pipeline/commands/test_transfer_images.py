"""Transfer between texts and images: one SAE for two models, with the same latents per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from app.shared.data.one_result import codes_of, find_result, sae_of
from app.shared.data.tree import OutputTree
from saefari.classify.job import ClassifyJob, JobInputs, ResultLabels
from saefari.classify.run import run_classify_job
from saefari.config import ClassificationParams, Settings
from saefari.pipeline.commands.cli import main
from saefari.pipeline.execute.classify_jobs import inputs_fingerprint
from saefari.store import (
    IMAGE_SCHEMA,
    Manifest,
    SamplesWriter,
    codes_arrays,
    read_result,
    read_samples_record,
    write_shard,
    write_split,
)

N_ROWS, CLASSES, D_SAE = 120, ("cat", "dog", "tree"), 24
FACTS = {
    "weights_sha256": "5" * 64, "hook": "blocks.3.hook_resid_post", "center": False, "normalize_activations": "none",
    "architecture": "jumprelu", "d_sae": D_SAE, "random": False,
}  # fmt: skip
SETTING = "sum_top0_bin-none"


@dataclass(frozen=True)
class Split:
    """One model's stored split of one dataset, and its results folder."""

    root: Path
    model: str
    model_type: str
    dataset: str

    @property
    def place(self) -> str:
        return f"{self.model}/{self.dataset}/train"

    @property
    def samples(self) -> Path:
        return self.root / "activations" / self.place

    @property
    def results(self) -> Path:
        return self.root / "classifications" / self.place / "layer_3" / "16k"

    def transferred(self, train: Split) -> Path:
        return self.root / "classifications" / self.place / "transfer" / train.place / "layer_3" / "16k" / SETTING

    def write(self, seed: int, texts: Sequence[str | None], pixels: Sequence[str] | None, fingerprint: str) -> None:
        """Row i has class i % 3 and activates the latents of its class, plus noise; a quarter are test rows."""
        generator = np.random.default_rng(seed)
        settings = {"dataset": self.dataset, "fingerprint": fingerprint}
        with SamplesWriter(self.samples, settings, *([IMAGE_SCHEMA] if pixels else [])) as writer:
            for i, text in enumerate(texts):
                row = {"row": i, "id": f"id{i}", "text": text, "label": CLASSES[i % 3], "group": None, "n_tokens": 4}
                row |= {name: [0, 0, 0, 0] for name in ("input_ids", "valid", "span_start", "span_end")}
                if pixels:
                    row |= {
                        "image": f"{i}.png",
                        "pixels": pixels[i],
                        "view": b"",
                        "grid": [2, 2],
                        "patch": [0, 1, 2, 3],
                    }
                writer.write(row)
        write_split(self.samples, (np.arange(N_ROWS) // 3 % 4 == 0).astype(np.int8), {}, [])
        values = generator.random((N_ROWS * 4, D_SAE)) * (generator.random((N_ROWS * 4, D_SAE)) < 0.1)
        own = np.repeat(np.arange(N_ROWS) % 3, 4) * 4 + generator.integers(0, 4, N_ROWS * 4)
        values[np.arange(N_ROWS * 4), own] += 1
        codes = sparse.csr_array(values.astype(np.float32))
        record = read_samples_record(self.samples)
        assert record is not None
        manifest = Manifest("codes", {"samples": record["sha256"], "model": {"name": self.model}}, N_ROWS, dict(FACTS))
        arrays = codes_arrays(codes.indptr, codes.indices, codes.data, np.arange(0, N_ROWS * 4 + 1, 4), D_SAE)
        manifest.add(write_shard(self.samples / "layer_3" / "16k", 0, (0, N_ROWS), arrays))
        manifest.save(self.samples / "layer_3" / "16k")

    def classify(self) -> None:
        features = "layer_3/16k"
        fingerprint = inputs_fingerprint(self.samples, None, features)
        outcome = run_classify_job(
            ClassifyJob(
                source="sae",
                labels=ResultLabels(
                    model=self.model,
                    model_type=self.model_type,
                    dataset=self.dataset,
                    split="train",
                    layer=3,
                    width="16k",
                ),
                inputs=JobInputs(self.samples, None, (self.place,), features, fingerprint),
                params=ClassificationParams(),
                settings=Settings(cv_folds=3, n_bootstrap=100, tree_depth=3),
                out=self.results,
            )
        )
        assert outcome.failures == []


def sentences(start: int) -> list[str]:
    return [f"sentence {start + i}" for i in range(N_ROWS)]


@pytest.fixture
def texts(tmp_path: Path) -> Split:
    split = Split(tmp_path, "llm", "llm", "captions")
    split.write(1, sentences(0), None, "captions-v1")
    split.classify()
    return split


def transfer(train: Split, test: Split, *flags: str) -> int:
    return main(["transfer", "--train", str(train.results), "--test", str(test.results), *flags])


def test_probes_of_texts_read_images_and_back(texts: Split, tmp_path: Path) -> None:
    images = Split(tmp_path, "vlm", "vlm", "photos")
    prompts = sentences(0)  # the prompts of the images are training texts
    images.write(2, prompts, [f"{i:064x}" for i in range(N_ROWS)], "photos-v1")
    images.classify()
    for train, test in ((texts, images), (images, texts)):
        assert transfer(train, test) == 0
        result = read_result(test.transferred(train))
        assert result["n_test"] == N_ROWS // 4
        assert result["settings"]["model_type"] == test.model_type
        for name, scores in result["classifiers"].items():
            assert scores["macro_f1"] > 0.7, name
        assert result["transfer"]["majority"]["macro_f1"] < 0.2
    index = OutputTree(tmp_path).index()
    assert index.problems == []
    moved = index.results[index.results["trained_on"] == f"{texts.place}/layer_3/16k"].iloc[0]
    shown = find_result(index, moved["run"], "linear")
    sae = sae_of(index, shown.row)
    assert sae is not None
    assert sae.model == "vlm"
    codes = codes_of(sae, shown.row)
    assert codes is not None
    assert codes.dataset == "photos/train"


def test_training_images_and_rows_are_not_tested_on(tmp_path: Path) -> None:
    train, test = Split(tmp_path, "vlm", "vlm", "photos"), Split(tmp_path, "vit", "vit", "others")
    train.write(1, [None] * N_ROWS, [f"{i:064x}" for i in range(N_ROWS)], "photos-v1")
    train.classify()
    moved_by = 7  # so that the image is in another row of the other dataset
    test.write(2, [None] * N_ROWS, [f"{i + moved_by:064x}" for i in range(N_ROWS)], "others-v1")
    test.classify()
    assert transfer(train, test, "--rows", "all") == 0
    n_trained = sum(i // 3 % 4 != 0 for i in range(moved_by, N_ROWS))
    assert read_result(test.transferred(train))["transfer"]["rows_left_out"]["trained_on"] == n_trained


def test_rows_of_the_same_data_are_matched_by_number(texts: Split, tmp_path: Path) -> None:
    same = Split(tmp_path, "vlm", "vlm", "captions")
    same.write(2, sentences(N_ROWS), [f"{i:064x}" for i in range(N_ROWS)], "captions-v1")
    same.classify()
    assert transfer(texts, same, "--rows", "all") == 0
    result = read_result(same.transferred(texts))
    assert result["transfer"]["rows_left_out"]["trained_on"] == N_ROWS * 3 // 4
    assert result["n_test"] == N_ROWS // 4


def test_no_row_left_to_test_on_is_an_error(texts: Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Split(tmp_path, "other", "llm", "copies")
    other.write(3, ["sentence 3"] * N_ROWS, None, "copies-v1")
    flags = ["--train", str(texts.results), "--test", str(other.samples / "layer_3" / "16k")]
    assert main(["transfer", *flags]) == 1
    assert "the training run was trained on 30" in capsys.readouterr().err
