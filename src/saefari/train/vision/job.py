"""The job that trains a vision model, its settings, and checks of what is already trained."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.config import DatasetSpec, VisionTraining
from saefari.data.dataset import Dataset, open_dataset
from saefari.errors import ConflictError
from saefari.log import logger
from saefari.store.checkpoints import read_checkpoint_state, remove_checkpoint
from saefari.store.files import read_json
from saefari.store.layout import TRAINING_RECORD
from saefari.train.job import changed_settings


@dataclass(frozen=True)
class VisionJob:
    """A vision model to train from scratch. Idempotent: a finished model with these settings is kept.

    test_size, max_rows, seed: must equal those of the extraction. folder: output. scratch: checkpoint and decoded
    images during training; checkpoint_minutes: minimum time between two checkpoints.
    skip_bad: leave out unreadable images. workers: processes that decode.
    """

    training: VisionTraining
    dataset: DatasetSpec
    test_size: float
    max_rows: int | None
    seed: int
    folder: Path
    scratch: Path
    checkpoint_minutes: float
    skip_bad: bool
    workers: int
    device: str
    overwrite: bool

    @property
    def title(self) -> str:
        """Name of the job in messages."""
        return f"vision model {self.training.name}"


def open_splits(job: VisionJob) -> tuple[Dataset, Dataset | None]:
    """Open the training split and the test split, if any. Raises DataError if they cannot be read."""
    spec = job.dataset
    return open_dataset(spec, spec.split), open_dataset(spec, spec.test_split) if spec.test_split else None


def training_settings(job: VisionJob, dataset: Dataset, test: Dataset | None) -> dict[str, Any]:
    """Return everything that shapes the model, JSON-able, without paths. A model with equal settings is reused."""
    sampled = job.max_rows is not None and job.max_rows < dataset.n_rows
    return {
        **job.training.model_dump(mode="json", exclude={"name", "dataset", "conv", "shift"}),
        "convolutions": [layer.model_dump() for layer in job.training.convolutions],
        "shift": job.training.max_shift,
        "dataset": dataset.slug,
        "fingerprint": dataset.fingerprint,
        "split": dataset.split,
        "fields": job.dataset.model_dump(include={"image_field", "label_field", "group_field"}),
        "sampled": job.max_rows if sampled else None,
        "test": {"fingerprint": test.fingerprint, "split": test.split} if test else job.test_size,
        "seed": job.seed,
    }


def is_trained(job: VisionJob, settings: dict[str, Any]) -> bool:
    """Return whether the job's folder already holds this model; with `overwrite`, remove one of other settings.

    Raises ConflictError with the differences if it holds a model of other settings, or no model.
    """
    if not job.folder.exists():
        return False
    record = read_json(job.folder / TRAINING_RECORD)
    if record is None:
        raise ConflictError(f"{job.folder} exists but holds no trained model: move it, or choose another name")
    changes = changed_settings(record["settings"], settings)
    if changes and not job.overwrite:
        raise ConflictError(
            f"{job.folder} holds a model trained with other settings ({changes}); "
            "give the new one another vision_training.name, or add --overwrite"
        )
    if changes:
        logger.warning("%s: removed, since it was trained with other settings", job.folder)
        shutil.rmtree(job.folder)
    return not changes


def check_unfinished(job: VisionJob, settings: dict[str, Any]) -> None:
    """Check that an unfinished training, if any, has these settings; with `overwrite`, remove one that has not.

    Raises ConflictError with the differences.
    """
    state = read_checkpoint_state(job.scratch)
    changes = changed_settings(state["settings"], settings) if state is not None else ""
    if changes and not job.overwrite:
        raise ConflictError(
            f"{job.scratch} holds the unfinished training of a model with other settings ({changes}); "
            "restore them to resume it, or add --overwrite to start again"
        )
    if changes:
        logger.warning("%s: checkpoint removed; the model is trained from the start", job.scratch)
        remove_checkpoint(job.scratch)
