"""The jobs of each stage, built from the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.data.slug import dataset_slug
from saefari.extract.prepare import PrepareJob
from saefari.fingerprint import fingerprint
from saefari.names import BASELINES, HIDDEN
from saefari.pipeline.jobs import Encode, Extract, Prepare, Train
from saefari.pipeline.planned import DatasetPlan, ModelPlan, Plan
from saefari.pipeline.planned_saes import PlannedSae
from saefari.store import Manifest, read_samples_record, read_split_record

if TYPE_CHECKING:
    from saefari.classify.job import ClassifyJob
    from saefari.config import Corpus, Stream
    from saefari.extract.job import Cell, JobImages
    from saefari.models.loader import ImageLoader, Images
    from saefari.train.job import SaeJob
    from saefari.train.run import TrainJob

TOKENS_ON_CPU = 4096
TOKENS_ON_GPU = 32_768


def prepare_jobs(plan: Plan, overwrite: bool) -> list[Prepare]:
    """One job per model and dataset."""
    return [
        Prepare(
            PrepareJob(
                title=title(model, dataset, dataset.spec.split),
                model=model.name,
                model_type=model.model_type,
                revision=model.revision,
                positions=model.positions,
                spec=dataset.spec,
                settings=plan.config.settings,
                folder=plan.samples(model, dataset, dataset.spec.split),
                test_folder=test_folder(plan, model, dataset),
                overwrite=overwrite,
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
            if corpus is not None or plan.datasets_of(model):  # else they all failed
                jobs.append(Train(_train_job(plan, model, corpus, saes, device, overwrite)))
    return jobs


def sae_job(sae: PlannedSae) -> SaeJob:
    """An SAE to train; `settings` holds what conf.yaml says of it."""
    from saefari.models.hooks import HookPoint
    from saefari.train.job import SaeJob

    training, ref = sae.training, sae.ref
    assert training is not None
    assert ref.path is not None
    assert ref.hook is not None
    settings = {**training.model_dump(mode="json"), "d_sae": training.latents(ref.width), "hook": ref.hook}
    if training.corpus is not None:  # a path would bind the SAE to this machine; its rows' fingerprint is added later
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
                model=model.name,
                model_type=model.model_type,
                revision=model.revision,
                dtype=settings.dtype,
                device=device,
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
            )
        )
        for model, dataset in plan.pairs()
        for split in dataset.splits
    ]


def image_loader(plan: Plan, model: ModelPlan) -> ImageLoader:
    """What reads images for a model, as the run is set."""
    from saefari.models.loader import ImageLoader

    return ImageLoader.of(model.model_type, model.name, model.revision, model.positions, plan.config.settings)


def _job_images(plan: Plan, model: ModelPlan, dataset: DatasetPlan, split: str) -> JobImages | None:
    """The images of an extraction; None for a model that reads texts."""
    from saefari.extract.job import JobImages

    if model.model_type == "llm":
        return None
    calibration = _images(plan, model, dataset, dataset.spec.split)
    return JobImages(_images(plan, model, dataset, split), calibration, image_loader(plan, model))


def _images(plan: Plan, model: ModelPlan, dataset: DatasetPlan, split: str) -> Images:
    """A split's images, as its samples were made of them."""
    from saefari.models.loader import Images

    record = read_samples_record(plan.samples(model, dataset, split)) or {"settings": {"fingerprint": ""}}
    return Images(dataset.spec, split, record["settings"]["fingerprint"])


def encode_jobs(plan: Plan, device: str, overwrite: bool) -> list[Encode]:
    """One job per model and dataset split of an `act_only` run; none otherwise."""
    if not plan.config.settings.act_only:
        return []
    return [Encode(extract.job) for extract in extract_jobs(plan, device, overwrite)]


def classify_jobs(plan: Plan) -> list[ClassifyJob]:
    """One job per feature source: SAEs, hidden states of layers, once per dataset TF-IDF, pixels and majority."""
    return [job for dataset in plan.datasets for job in _dataset_jobs(plan, dataset)]


def cells(model: ModelPlan) -> tuple[Cell, ...]:
    """The model's SAEs, each followed by its random control where one is asked for."""
    from saefari.extract.job import Cell

    return tuple(
        Cell(sae.ref, random, trained=sae.training is not None)
        for sae in model.saes
        for random in ((False, True) if sae.random else (False,))
    )


def title(model: ModelPlan, dataset: DatasetPlan, split: str) -> str:
    """How messages name a model's view of a dataset split."""
    config = f"/{dataset.spec.config_name}" if dataset.spec.config_name else ""
    return f"{dataset.slug}{config}/{split} x {model.slug}"


def shown(name: str, slug: str) -> str:
    """A model's or dataset's name for a stored file: an absolute path stays on this machine."""
    return slug if Path(name).is_absolute() else name


def test_folder(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> Path | None:
    """Where the samples of a dataset's own test split lie."""
    return plan.samples(model, dataset, dataset.spec.test_split) if dataset.spec.test_split else None


def max_tokens(plan: Plan, device: str) -> int:
    """The token budget of a batch."""
    default = TOKENS_ON_GPU if device.startswith("cuda") else TOKENS_ON_CPU
    return plan.config.settings.max_tokens_per_batch or default


def _train_job(
    plan: Plan, model: ModelPlan, corpus: Corpus | None, saes: Sequence[PlannedSae], device: str, overwrite: bool
) -> TrainJob:
    from saefari.train.run import TrainJob

    settings = plan.config.settings
    samples = [plan.samples(model, dataset, dataset.spec.split) for dataset in plan.datasets_of(model)]
    with_images = corpus is None and model.model_type != "llm"
    images = [_images(plan, model, dataset, dataset.spec.split) for dataset in plan.datasets_of(model) if with_images]
    identity = fingerprint([[sae.ref.layer, sae.ref.width] for sae in saes])[:12]
    return TrainJob(
        title=f"SAEs of {model.title}" + (f" on {corpus.name}" if corpus else ""),
        model=model.name,
        model_type=model.model_type,
        revision=model.revision,
        device=device,
        dtype=settings.dtype,
        saes=tuple(sae_job(sae) for sae in saes),
        samples=() if corpus else tuple(samples),
        images=tuple(images),
        loader=image_loader(plan, model) if images else None,
        stored=settings.act_only and corpus is None,
        corpus=corpus,
        checkpoint=plan.layout.sae_checkpoint(model.slug, identity),
        checkpoint_minutes=settings.checkpoint_minutes,
        training_log=settings.training_log,
        log_folder=plan.layout.training_log,
        seed=settings.seed,
        max_tokens=max_tokens(plan, device),
        overwrite=overwrite,
    )


def _dataset_jobs(plan: Plan, dataset: DatasetPlan) -> Iterator[ClassifyJob]:
    models = [model for model in plan.models if dataset in plan.datasets_of(model)]
    for model in models:
        for cell in cells(model):
            source = "random_sae" if cell.random else "sae"
            yield _classify_job(plan, model, dataset, source, cell.ref.layer, cell.name, cell.ref.width)
        for layer in sorted({sae.ref.layer for sae in model.saes}):
            yield _classify_job(plan, model, dataset, "hidden", layer, HIDDEN)
    for source, model in _model_free(plan, dataset, models):
        yield _classify_job(plan, model, dataset, source)


def _model_free(plan: Plan, dataset: DatasetPlan, models: Sequence[ModelPlan]) -> Iterator[tuple[str, ModelPlan]]:
    """The baselines that need no model, each with one whose samples hold what it reads."""
    if models and dataset.spec.text_field and plan.config.settings.bow_baseline:
        yield "tfidf", models[0]
    for model in [model for model in models if model.model_type != "llm"][:1]:
        yield "pixels", model
    if models:
        yield "majority", models[0]


def _classify_job(
    plan: Plan,
    model: ModelPlan,
    dataset: DatasetPlan,
    source: str,
    layer: int | None = None,
    folder: str | None = None,
    width: str | None = None,
) -> ClassifyJob:
    from saefari.classify.job import ClassifyJob

    settings, spec = plan.config.settings, dataset.spec
    samples, test_samples = plan.samples(model, dataset, spec.split), test_folder(plan, model, dataset)
    of_model = layer is not None
    place = (f"layer_{layer}", str(folder)) if of_model else (source,)
    features = "/".join(place) if of_model else None
    return ClassifyJob(
        source=source,  # type: ignore[arg-type]
        model=shown(model.name, model.slug) if of_model else "",
        model_type=model.model_type if of_model else "",
        dataset=shown(spec.name, dataset.slug),
        config=spec.config_name or "",
        split=spec.split,
        layer=layer,
        width=width,
        samples=samples,
        test_samples=test_samples,
        sample_places=tuple(
            place.relative_to(plan.layout.activations).as_posix() for place in (samples, test_samples) if place
        ),
        features=features,
        out=plan.layout.results(
            model.slug if of_model else BASELINES, dataset.slug, spec.config_name, spec.split, *place
        ),
        params=plan.config.classification_params,
        seed=settings.seed,
        cv_folds=settings.cv_folds,
        n_bootstrap=settings.n_bootstrap,
        tree_depth=settings.tree_depth,
        inputs=inputs_fingerprint(samples, test_samples, features),
    )


def inputs_fingerprint(samples: Path, test_samples: Path | None, features: str | None) -> str:
    """Fingerprint of everything that a classify job reads."""
    read: list[object] = []
    for place in (samples, test_samples):
        if place is None:
            continue
        read += [(read_samples_record(place) or {}).get("sha256"), (read_split_record(place) or {}).get("sha256")]
        if features is not None:
            manifest = Manifest.load(place / features)
            read.append([shard.sha256 for shard in manifest.shards] if manifest else None)
    return fingerprint(read)
