"""Build the jobs of each stage from the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.data.slug import dataset_slug
from saefari.extract.prepare_job import PrepareJob
from saefari.fingerprint import fingerprint
from saefari.models.source import ModelSource
from saefari.pipeline.execute.jobs import Encode, Extract, Prepare, Train
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan
from saefari.pipeline.plan.saes import PlannedSae
from saefari.store import read_samples_record

if TYPE_CHECKING:
    from saefari.config import Corpus, Stream
    from saefari.extract.job import Cell, JobImages
    from saefari.models.image_loader import ImageLoader, Images
    from saefari.train.job import SaeJob, TrainingData, TrainJob

TOKENS_ON_CPU = 4096
TOKENS_ON_GPU = 32_768


def prepare_jobs(plan: Plan, overwrite: bool) -> list[Prepare]:
    """One job per model and dataset."""
    return [
        Prepare(
            PrepareJob(
                title=title(model, dataset, dataset.spec.split),
                model=model_source(plan, model, plan.config.settings.device),
                positions=model.positions,
                spec=dataset.spec,
                settings=plan.config.settings,
                folder=plan.samples(model, dataset, dataset.spec.split),
                test_folder=test_folder(plan, model, dataset),
                overwrite=overwrite,
                prepend_bos=model.bos.change,
            )
        )
        for model, dataset in plan.pairs()
    ]


def train_jobs(plan: Plan, device: str, overwrite: bool) -> list[Train]:
    """One job per model and stream of positions, from which all SAEs that share it are trained."""
    jobs = []
    for model in plan.models:
        streams: dict[Stream, list[PlannedSae]] = {}
        for sae in model.saes:
            if sae.training is not None:
                streams.setdefault(sae.training.stream, []).append(sae)
        for (corpus, *_), saes in streams.items():
            if corpus is not None or plan.extracted_datasets_of(model):  # else they all failed
                job = _train_job(plan, model, corpus, saes, device, overwrite)
                measured = extract_jobs(replace(plan, models=[replace(model, saes=tuple(saes))]), device, overwrite)
                needed = job.reads_norms and not job.data.stored  # extraction has measured those of what is stored
                jobs.append(Train(job, tuple(one.job for one in measured if needed and one.job.is_calibration)))
    return jobs


def sae_job(sae: PlannedSae) -> SaeJob:
    """Return an SAE to train; its `settings` are those in conf.yaml."""
    from saefari.models.hooks import HookPoint
    from saefari.train.job import SaeJob

    training, ref = sae.training, sae.ref
    assert training is not None
    assert ref.path is not None
    assert ref.hook is not None
    settings = {**training.model_dump(mode="json"), "d_sae": training.latents(ref.width), "hook": ref.hook}
    if training.corpus is not None:  # no absolute path; the fingerprint of its rows is added later
        settings["corpus"] |= {"name": dataset_slug(training.corpus.name)}
    return SaeJob(ref.layer, ref.width, training, HookPoint.parse(ref.hook), Path(ref.path), settings)


def extract_jobs(plan: Plan, device: str, overwrite: bool) -> list[Extract]:
    """One job per model and dataset split."""
    from saefari.extract.job import ExtractJob

    settings = plan.config.settings
    return [
        Extract(
            ExtractJob(
                title=title(model, dataset, split),
                model=model_source(plan, model, device),
                samples=plan.samples(model, dataset, split),
                calibration=plan.samples(model, dataset, dataset.spec.split),
                images=_job_images(plan, model, dataset, split),
                cells=cells(model),
                encode=not settings.act_only,
                store_positions=settings.store_positions,
                max_tokens=max_tokens(plan, device),
                max_sequences=settings.batch_size,
                seed=settings.seed,
                overwrite=overwrite,
                outlier_norm=model.outliers.norm,
                bos_unknown=not model.bos.known,
            )
        )
        for model, dataset in plan.pairs()
        for split in dataset.splits
    ]


def model_source(plan: Plan, model: ModelPlan, device: str) -> ModelSource:
    """The model of a plan as a job loads it."""
    return ModelSource(model.model_type, model.name, model.revision, plan.config.settings.dtype, device)


def image_loader(plan: Plan, model: ModelPlan) -> ImageLoader:
    """What reads images for a model, as the run is set."""
    from saefari.models.image_loader import ImageLoader

    return ImageLoader.of(model.model_type, model.name, model.revision, model.positions, plan.config.settings)


def _job_images(plan: Plan, model: ModelPlan, dataset: DatasetPlan, split: str) -> JobImages | None:
    """Return the images of an extraction; None for a text model."""
    from saefari.extract.job import JobImages

    if model.model_type == "llm":
        return None
    calibration = _images(plan, model, dataset, dataset.spec.split)
    return JobImages(_images(plan, model, dataset, split), calibration, image_loader(plan, model))


def _images(plan: Plan, model: ModelPlan, dataset: DatasetPlan, split: str) -> Images:
    """Return a split's images, with the fingerprint recorded in its samples."""
    from saefari.models.image_loader import Images

    record = read_samples_record(plan.samples(model, dataset, split)) or {"settings": {"fingerprint": ""}}
    return Images(dataset.spec, split, record["settings"]["fingerprint"])


def encode_jobs(plan: Plan, device: str, overwrite: bool) -> list[Encode]:
    """One job per model and dataset split of an `act_only` run; none otherwise."""
    if not plan.config.settings.act_only:
        return []
    kept = replace(plan, dropped=plan.dropped | plan.unextracted)
    return [Encode(extract.job) for extract in extract_jobs(kept, device, overwrite)]


def cells(model: ModelPlan) -> tuple[Cell, ...]:
    """Return the SAEs that a model's hidden states are encoded with, each followed by its random control if needed."""
    from saefari.extract.job import Cell

    return tuple(
        Cell(sae.ref, random, trained=sae.training is not None)
        for sae in model.saes
        for random in ((False, True) if sae.random or sae.random_explained else (False,))
    )


def title(model: ModelPlan, dataset: DatasetPlan, split: str) -> str:
    """Return the name of a dataset split and model, for messages."""
    config = f"/{dataset.spec.config_name}" if dataset.spec.config_name else ""
    return f"{dataset.slug}{config}/{dataset.folder(split)} x {model.slug}"


def shown(name: str, slug: str) -> str:
    """Return a model's or dataset's name for stored files: the slug in place of an absolute path."""
    return slug if Path(name).is_absolute() else name


def test_folder(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> Path | None:
    """Return the samples folder of a dataset's separate test split; None if it has none."""
    return plan.samples(model, dataset, dataset.spec.test_split) if dataset.spec.test_split else None


def max_tokens(plan: Plan, device: str) -> int:
    """Return the maximum number of tokens in a batch."""
    default = TOKENS_ON_GPU if device.startswith("cuda") else TOKENS_ON_CPU
    return plan.config.settings.max_tokens_per_batch or default


def _train_job(
    plan: Plan, model: ModelPlan, corpus: Corpus | None, saes: Sequence[PlannedSae], device: str, overwrite: bool
) -> TrainJob:
    from saefari.train.job import ProgressFiles, TrainJob

    settings = plan.config.settings
    identity = fingerprint([[sae.ref.layer, sae.ref.width] for sae in saes])[:12]
    return TrainJob(
        title=f"SAEs of {model.title}" + (f" on {corpus.name}" if corpus else ""),
        model=model_source(plan, model, device),
        saes=tuple(sae_job(sae) for sae in saes),
        data=_training_data(plan, model, corpus),
        progress=ProgressFiles(
            checkpoint=plan.layout.sae_checkpoint(model.slug, identity),
            checkpoint_minutes=settings.checkpoint_minutes,
            log=settings.training_log,
            log_folder=plan.layout.training_log,
        ),
        seed=settings.seed,
        max_tokens=max_tokens(plan, device),
        overwrite=overwrite,
        prepend_bos=model.bos.change,
        outlier_norm=model.outliers.norm,
    )


def _training_data(plan: Plan, model: ModelPlan, corpus: Corpus | None) -> TrainingData:
    from saefari.train.job import TrainingData

    if corpus is not None:
        return TrainingData(corpus=corpus)
    datasets = plan.extracted_datasets_of(model)
    samples = tuple(plan.samples(model, dataset, dataset.spec.split) for dataset in datasets)
    stored = plan.config.settings.act_only
    if model.model_type == "llm":
        return TrainingData(samples, stored)
    images = tuple(_images(plan, model, dataset, dataset.spec.split) for dataset in datasets)
    return TrainingData(samples, stored, images, image_loader(plan, model))
