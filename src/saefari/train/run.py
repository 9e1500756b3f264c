"""A training job: the SAEs of one entry of conf.yaml, from the training rows of its datasets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from saefari.config import Corpus
from saefari.errors import ConflictError
from saefari.fingerprint import fingerprint
from saefari.log import logger, progress_bar
from saefari.models.settings import model_settings
from saefari.models.text import TextModel
from saefari.store import (
    TokenisedRow,
    iter_token_rows,
    read_samples_record,
    read_split,
    read_split_record,
    shard_ranges,
)
from saefari.train.sae import SaeJob, is_trained, train_saes


@dataclass(frozen=True)
class TrainJob:
    """SAEs of one model that are trained from the same batches. Idempotent: it trains only those missing."""

    title: str
    model: str
    revision: str | None
    device: str
    dtype: str
    saes: tuple[SaeJob, ...]
    """All with the same stream: corpus, n_positions, batch_size, buffer_size."""
    samples: tuple[Path, ...]
    """Dataset splits whose training rows are used; none with a corpus."""
    stored: bool
    """Train from the positions that are stored beside the samples (act_only, no corpus)."""
    corpus: Corpus | None
    checkpoint: Path
    """Folder of the checkpoint of these SAEs."""
    checkpoint_minutes: float
    training_log: str
    log_folder: Path
    seed: int
    max_tokens: int
    overwrite: bool


def run_train(job: TrainJob, model: Callable[[], TextModel]) -> list[str]:
    """Run the job; `model` loads the model, and is called only if an SAE is missing. Returns warnings.

    Raises ConflictError when an SAE of other settings is there and the job may not replace it, SaeError for
    settings or rows that no SAE can be trained with.
    """
    shared = _shared_settings(job)
    saes = [replace(sae, settings={**sae.settings, **shared}) for sae in job.saes]
    missing = [sae for sae in saes if _is_missing(sae, job.overwrite)]
    if missing:
        loaded = model()
        rows = partial(training_rows, {folder: read_split(folder) for folder in job.samples}, job.seed)
        with progress_bar(missing[0].training.n_positions, f"train {job.title}", "positions") as bar:
            train_saes(loaded, rows, missing, job.seed, job.max_tokens, bar.update)
    return []


def trained(job: TrainJob) -> list[SaeJob]:
    """The job's SAEs that are there, with all the settings that shape them."""
    shared = _shared_settings(job)
    found = []
    for sae in job.saes:
        with suppress(ConflictError):
            if is_trained(replace(sae, settings={**sae.settings, **shared})):
                found.append(sae)
    return found


def training_rows(splits: Mapping[Path, np.ndarray], seed: int) -> Iterator[TokenisedRow]:
    """Training rows only, in a seeded order that mixes datasets and classes; one shard in memory at a time.

    splits: samples folder -> the side of each row, int8 [n_rows], 0 = train.
    """
    generator = np.random.default_rng(seed)
    ranges = {folder: shard_ranges(len(parts)) for folder, parts in splits.items()}
    places = [(folder, shard) for folder in splits for shard in range(len(ranges[folder]))]
    order = [places[i] for i in generator.permutation(len(places))]
    readers = {
        folder: iter_token_rows(folder, [shard for place, shard in order if place == folder]) for folder in splits
    }
    for folder, shard in order:
        _, rows = next(readers[folder])
        parts = splits[folder][slice(*ranges[folder][shard])]
        for index in generator.permutation(np.flatnonzero(parts == 0)):
            yield rows[index]


def _shared_settings(job: TrainJob) -> dict[str, Any]:
    """What shapes every SAE of the job beside its own settings."""
    rows = [
        [(read_samples_record(folder) or {})["sha256"], (read_split_record(folder) or {})["sha256"]]
        for folder in job.samples
    ]
    return {
        "model": model_settings(job.model, job.revision, job.dtype, job.device),
        "training_rows": fingerprint(rows),
        "seed": job.seed,
    }


def _is_missing(sae: SaeJob, overwrite: bool) -> bool:
    """Whether the SAE must be trained; with `overwrite`, one of other settings is removed first."""
    try:
        return not is_trained(sae)
    except ConflictError:
        if not overwrite:
            raise
    logger.warning("%s: removed, it was trained with other settings", sae.folder)
    shutil.rmtree(sae.folder)
    return True
