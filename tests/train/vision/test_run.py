"""Training jobs of vision models: accuracy, data use, output files, reuse and resumption."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification

from saefari.data.dataset import open_dataset
from saefari.data.images import decode_image
from saefari.errors import ConflictError, DataError, ModelError
from saefari.store import read_training_digests
from saefari.store.checkpoints import read_checkpoint_state
from saefari.train.vision import training_loop as fit
from saefari.train.vision.division import Part
from saefari.train.vision.job import VisionJob
from saefari.train.vision.run import run_vision

Job = Callable[..., VisionJob]


def record_of(job: VisionJob) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((job.folder / "training.json").read_text())
    return record


def weights(job: VisionJob) -> bytes:
    return (job.folder / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_training_reaches_a_good_accuracy(job_of: Job) -> None:
    job = job_of(max_rows=600, epochs=12, batch_size=16, dropout=0.0)
    assert run_vision(job) == []
    record = record_of(job)
    assert record["accuracy"]["test"] > 0.5, "chance is 0.1"
    curves = record["curves"]
    assert curves["training_loss"][-1] < curves["training_loss"][0]
    assert max(curves["validation_accuracy"]) == curves["validation_accuracy"][record["best_epoch"] - 1]
    assert len(curves["seconds"]) == record["epochs"] == 12
    assert sum(record["rows"].values()) == 600


def test_the_saved_model_has_the_recorded_accuracy(job_of: Job) -> None:
    """Load the model with transformers and measure it on the dataset's images of the recorded test rows."""
    job = job_of(epochs=4)
    run_vision(job)
    model = AutoModelForImageClassification.from_pretrained(job.folder).eval()
    processor = AutoImageProcessor.from_pretrained(job.folder, backend="pil")
    rows = pq.read_table(job.folder / "rows.parquet").to_pylist()
    test = {row["row"] for row in rows if row["part"] == "test"}
    hits = []
    for example in open_dataset(job.dataset, "train").rows():
        if example.row in test:
            assert example.image is not None
            pixels = processor(decode_image(example.image), return_tensors="pt")["pixel_values"]
            with torch.no_grad():
                hits.append(model.config.id2label[int(model(pixels).logits.argmax())] == example.label)
    assert np.mean(hits) == pytest.approx(record_of(job)["accuracy"]["test"])
    assert {file.name for file in job.folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "rows.parquet",
        "training.json",
    }


def test_no_test_row_is_trained_on(job_of: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of()
    during: list[int] = []
    after: list[int] = []
    batch, fitted = fit._batch, fit.Fit.run
    seen = during

    def watched_batch(part: Part, chosen: np.ndarray) -> Any:
        seen.extend(part.rows[chosen].tolist())
        return batch(part, chosen)

    def watched_fit(*args: Any) -> Any:
        nonlocal seen
        weights = fitted(*args)
        seen = after
        return weights

    monkeypatch.setattr(fit, "_batch", watched_batch)
    monkeypatch.setattr(fit.Fit, "run", watched_fit)
    run_vision(job)
    parts = pq.read_table(job.folder / "rows.parquet")["part"].to_pylist()
    assert {parts[row] for row in during} == {"train", "validation"}
    n_test = parts.count("test")
    assert [parts[row] for row in after].count("test") == n_test, "the test rows are measured on once"
    assert len(read_training_digests(job.folder)) == 300 - n_test


def test_a_finished_model_is_kept(job_of: Job) -> None:
    job = job_of()
    run_vision(job)
    before = {file: file.stat().st_mtime_ns for file in job.folder.iterdir()}
    run_vision(job)
    assert {file: file.stat().st_mtime_ns for file in job.folder.iterdir()} == before
    assert not job.scratch.exists()


def test_no_path_is_stored(job_of: Job, tmp_path: Path) -> None:
    job = job_of()
    run_vision(job)
    assert not [file for file in job.folder.iterdir() if str(tmp_path).encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 3}, "epochs: 2 stored, 3 now"),
        ({"seed": 1}, "seed: 0 stored, 1 now"),
        ({"max_rows": 200}, "sampled: 300 stored, 200 now"),
        ({"test_size": 0.3}, "test: 0.2 stored, 0.3 now"),
        ({"causal": True}, "causal: False stored, True now"),
    ],
)
def test_other_settings_never_reuse_a_model(job_of: Job, change: dict[str, Any], named: str) -> None:
    run_vision(job_of())
    other = job_of(**change)
    before = weights(other)
    with pytest.raises(ConflictError, match=named):
        run_vision(other)
    assert weights(other) == before
    run_vision(replace(other, overwrite=True))
    assert weights(other) != before


def test_a_folder_without_a_model_is_not_replaced(job_of: Job) -> None:
    job = job_of(overwrite=True)
    job.folder.mkdir(parents=True)
    (job.folder / "thesis.tex").touch()
    with pytest.raises(ConflictError, match="holds no trained model"):
        run_vision(job)
    assert (job.folder / "thesis.tex").exists()


def test_a_training_that_diverges_is_a_failure(job_of: Job) -> None:
    job = job_of(learning_rate=1e30, checkpoint_minutes=1e-9)
    with pytest.raises(ModelError, match=r"tiny diverged at step .*lower vision_training\.learning_rate"):
        run_vision(job)
    assert not job.folder.exists()
    assert read_checkpoint_state(job.scratch) is None
    run_vision(job_of())
    assert job.folder.exists()


def test_weights_depend_on_the_seed_only(job_of: Job, tmp_path: Path) -> None:
    first = job_of()
    run_vision(first)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = replace(first, folder=tmp_path / "again")
    run_vision(again)
    assert weights(again) == weights(first)
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state is preserved"
    other = replace(first, folder=tmp_path / "other", seed=1)
    run_vision(other)
    assert weights(other) != weights(first)


def test_patience_stops_training_early(job_of: Job) -> None:
    job = job_of(learning_rate=1e-12, epochs=9, patience=2)
    run_vision(job)
    record = record_of(job)
    assert record["epochs"] < 9
    assert record["epochs"] - record["best_epoch"] == 2


def test_the_datasets_own_test_split_is_used(job_of: Job, real_data: Path) -> None:
    spec = {"name": str(real_data / "cifar10_small"), "image_field": "image", "test_split": "test"}
    job = job_of(epochs=1, max_rows=60)
    job = replace(job, dataset=job.dataset.model_copy(update=spec))
    run_vision(job)
    table = pq.read_table(job.folder / "rows.parquet").to_pandas()
    assert set(table[table.part == "test"].split) == {"test_split"}
    assert record_of(job)["rows"]["test"] == 60


def test_a_single_class_is_an_error(job_of: Job) -> None:
    job = job_of()
    with pytest.raises(DataError):
        run_vision(replace(job, max_rows=2))


def test_the_best_epoch_is_kept_even_when_interrupted_later(
    job_of: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Validation accuracies are replaced, so that the second of four epochs is the best."""
    epoch_weights: list[dict[str, torch.Tensor]] = []

    def set_accuracies(*accuracies: float | None) -> None:
        given = iter(accuracies)

        def measured(model: Any, *_: Any) -> tuple[float, float]:
            accuracy = next(given)
            if accuracy is None:
                raise KeyboardInterrupt
            epoch_weights.append({name: x.clone() for name, x in model.state_dict().items()})
            return accuracy, 1.0

        monkeypatch.setattr(fit, "measure", measured)

    uninterrupted = job_of(epochs=4, checkpoint_minutes=1e-9)
    interrupted = replace(uninterrupted, folder=tmp_path / "other")
    set_accuracies(0.1, 0.9, 0.2, 0.3)
    run_vision(uninterrupted)
    saved = load_file(uninterrupted.folder / "model.safetensors")
    assert record_of(uninterrupted)["best_epoch"] == 2
    assert all(torch.equal(x, epoch_weights[1][name]) for name, x in saved.items())
    assert not all(torch.equal(x, epoch_weights[3][name]) for name, x in saved.items())
    set_accuracies(0.1, 0.9, 0.2, None)
    with pytest.raises(KeyboardInterrupt):
        run_vision(interrupted)
    set_accuracies(0.3)
    run_vision(interrupted)
    assert weights(interrupted) == weights(uninterrupted)


def killed_at(job: VisionJob, step: int) -> None:
    """Run the job in a separate process and kill it once its checkpoint has reached a step."""
    code = (
        "import pickle, sys; from saefari.train.vision.run import run_vision; run_vision(pickle.load(sys.stdin.buffer))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(job))
    process.stdin.close()
    deadline = time.monotonic() + 120
    while (read_checkpoint_state(job.scratch) or {"step": 0})["step"] < step:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_resumed_training_gives_the_same_weights(job_of: Job, tmp_path: Path) -> None:
    uninterrupted = job_of(epochs=20, dropout=0.2, checkpoint_minutes=1e-6)
    killed = replace(uninterrupted, folder=tmp_path / "killed" / "tiny", scratch=tmp_path / "killed" / ".training-tiny")
    run_vision(uninterrupted)
    killed_at(killed, 7)  # in the middle of an epoch
    killed_at(killed, 30)
    with pytest.raises(ConflictError, match="unfinished training of a model with other settings"):
        run_vision(replace(killed, seed=1))
    run_vision(killed)
    assert weights(killed) == weights(uninterrupted)
    one, other = record_of(killed), record_of(uninterrupted)
    for record in (one, other):
        del record["seconds"], record["curves"]["seconds"]
    assert one == other
    assert not killed.scratch.exists()
