"""Prepare a dataset for one model: freeze sampled rows, their tokens or patches, and the train/test split."""

from __future__ import annotations

from saefari.extract.freeze_split import prepare_split
from saefari.extract.prepare_job import PrepareJob
from saefari.extract.prepare_texts import prepare_texts


def run_prepare(job: PrepareJob) -> list[str]:
    """Freeze rows, tokens and split unless they exist. Returns warnings.

    Raises ConflictError if samples of other settings exist, DataError if the dataset cannot be read.
    """
    from saefari.extract.prepare_images import prepare_images

    settings = job.settings
    warnings = prepare_texts(job) if job.model.model_type == "llm" else prepare_images(job)
    record = prepare_split(job.folder, job.test_folder, settings.test_size, settings.seed)
    return [f"{job.title}: {warning}" for warning in [*warnings, *record["warnings"]]]
