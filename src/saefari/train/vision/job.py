"""A vision model to train, what shapes it, and whether it is there already."""

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
    """A vision model to train from scratch. Idempotent: a finished model of these settings is left as it is.

    test_size, max_rows, seed: as extraction divides the dataset. folder: where the model goes. scratch: where the
    training's state and the decoded images are while it runs; checkpoint_minutes: the least time between two writings.
    skip_bad: images that cannot be read are left out. workers: processes that decode.
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
        """How messages name the job."""
        return f"vision model {self.training.name}"


def opened(job: VisionJob) -> tuple[Dataset, Dataset | None]:
    """The split to train on, and the test split if there is one. Raises DataError where they cannot be read."""
    spec = job.dataset
    return open_dataset(spec, spec.split), open_dataset(spec, spec.test_split) if spec.test_split else None


def settings_of(job: VisionJob, dataset: Dataset, test: Dataset | None) -> dict[str, Any]:
    """Everything that shapes the model, JSON-able and without a path. It decides whether a trained one is reused."""
    sampled = job.max_rows is not None and job.max_rows < dataset.n_rows
    return {
        **job.training.model_dump(mode="json", exclude={"name", "dataset", "conv", "shift"}),
        "convolutions": [one.model_dump() for one in job.training.convolutions],
        "shift": job.training.max_shift,
        "dataset": dataset.slug,
        "fingerprint": dataset.fingerprint,
        "split": dataset.split,
        "fields": job.dataset.model_dump(include={"image_field", "label_field", "group_field"}),
        "sampled": job.max_rows if sampled else None,
        "test": {"fingerprint": test.fingerprint, "split": test.split} if test else job.test_size,
        "seed": job.seed,
    }


def is_there(job: VisionJob, settings: dict[str, Any]) -> bool:
    """Whether the job's folder already holds this model; with `overwrite`, one of other settings is removed.

    Raises ConflictError, naming what differs, when it holds a model of other settings, or something else.
    """
    if not job.folder.exists():
        return False
    record = read_json(job.folder / TRAINING_RECORD)
    if record is None:
        raise ConflictError(f"{job.folder} holds something else than a trained model: move it, or choose another name")
    changes = changed_settings(record["settings"], settings)
    if changes and not job.overwrite:
        raise ConflictError(
            f"{job.folder} holds a model trained with other settings ({changes}); "
            "give the new one another vision_training.name, or add --overwrite"
        )
    if changes:
        logger.warning("%s: removed, it was trained with other settings", job.folder)
        shutil.rmtree(job.folder)
    return not changes


def check_unfinished(job: VisionJob, settings: dict[str, Any]) -> None:
    """Make sure that a training that is under way, if any, has these settings; with `overwrite` another is removed.

    Raises ConflictError, naming what differs.
    """
    state = read_checkpoint_state(job.scratch)
    changes = changed_settings(state["settings"], settings) if state is not None else ""
    if changes and not job.overwrite:
        raise ConflictError(
            f"{job.scratch} holds the unfinished training of a model with other settings ({changes}); "
            "set them back to go on with it, or add --overwrite to start anew"
        )
    if changes:
        logger.warning("%s: removed, the model is trained from the start", job.scratch)
        remove_checkpoint(job.scratch)
