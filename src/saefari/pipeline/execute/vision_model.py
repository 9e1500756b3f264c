"""The job that trains the vision model of a plan, and warnings about test rows that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from saefari.extract.frozen_rows import rows_wanted
from saefari.pipeline.execute.jobs import TrainVision
from saefari.pipeline.plan.plan import Plan
from saefari.store import count_leaked_test_rows, read_training_digests
from saefari.store.layout import TRAINING_RECORD


def vision_jobs(plan: Plan, device: str, overwrite: bool) -> list[TrainVision]:
    """Return the job that trains the plan's vision model, if there is one."""
    from saefari.models.workers import default_workers
    from saefari.train.vision.job import VisionJob

    vision, settings = plan.vision, plan.config.settings
    if vision is None:
        return []
    workers = default_workers() if settings.image_workers is None else settings.image_workers
    job = VisionJob(
        training=vision.training,
        dataset=vision.dataset,
        test_size=settings.test_size,
        max_rows=rows_wanted(settings),
        seed=settings.seed,
        folder=vision.folder,
        scratch=vision.scratch,
        checkpoint_minutes=settings.checkpoint_minutes,
        skip_bad=settings.on_bad_sample == "skip",
        workers=workers,
        device=device,
        overwrite=overwrite,
    )
    return [TrainVision(job)]


def learned_row_warnings(plan: Plan) -> Iterator[str]:
    """Yield a warning for each prepared split with test images that its model, trained by a run, was trained on."""
    for model, dataset in plan.pairs():
        folder = Path(model.name)
        if not (folder / TRAINING_RECORD).is_file():
            continue
        learned = read_training_digests(folder)
        for split in dataset.splits:
            if count := count_leaked_test_rows(plan.samples(model, dataset, split), learned):
                yield (
                    f"{dataset.slug}/{split}: {folder.name} was trained on {count:,} of the test rows, so scores are "
                    "optimistic; use the same settings.seed, test_size and max_samples, or another dataset"
                )
