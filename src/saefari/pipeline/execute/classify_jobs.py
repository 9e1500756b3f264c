"""List the feature sources that a plan classifies, and build their jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.fingerprint import fingerprint
from saefari.names import BASELINES, HIDDEN, RANDOM
from saefari.pipeline.execute.build_jobs import shown, test_folder
from saefari.pipeline.plan.check_prompt import caution
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan
from saefari.store import Manifest, read_samples_record, read_split_record

if TYPE_CHECKING:
    from saefari.classify.job import ClassifyJob


@dataclass(frozen=True)
class FeatureSource:
    """A feature source to classify. model: whose samples it reads. layer, folder, width: of its features, if any."""

    model: ModelPlan
    dataset: DatasetPlan
    source: str
    layer: int | None = None
    folder: str | None = None
    width: str | None = None

    @property
    def name(self) -> str:
        """Name in messages: 'layer 3 3k', 'layer 3 hidden', 'tfidf'."""
        return self.source if self.layer is None else f"layer {self.layer} {self.folder}"


def classify_sources(plan: Plan) -> list[FeatureSource]:
    """Return all feature sources: SAEs and hidden states of layers and, once per dataset, the baselines."""
    return [source for dataset in plan.datasets for source in _dataset_sources(plan, dataset)]


def classify_jobs(plan: Plan) -> list[ClassifyJob]:
    """Return one job per feature source."""
    return [_classify_job(plan, source) for source in classify_sources(plan)]


def _dataset_sources(plan: Plan, dataset: DatasetPlan) -> Iterator[FeatureSource]:
    models = [model for model in plan.models if dataset in plan.datasets_of(model)]
    for model in [model for model in models if (model.slug, dataset) not in plan.unextracted]:
        for sae in model.saes if (model.slug, dataset) not in plan.unencoded else ():
            ref = sae.ref
            yield FeatureSource(model, dataset, "sae", ref.layer, ref.width, ref.width)
            if sae.random:
                yield FeatureSource(model, dataset, "random_sae", ref.layer, ref.width + RANDOM, ref.width)
        for layer in sorted({sae.ref.layer for sae in model.saes}):
            yield FeatureSource(model, dataset, "hidden", layer, HIDDEN)
    for source, model in _model_free(plan, dataset, models):
        yield FeatureSource(model, dataset, source)


def _model_free(plan: Plan, dataset: DatasetPlan, models: Sequence[ModelPlan]) -> Iterator[tuple[str, ModelPlan]]:
    """Yield the baselines that need no model, each with a model whose samples it reads."""
    if models and dataset.spec.text_field and plan.config.settings.bow_baseline:
        yield "tfidf", models[0]
    for model in [model for model in models if model.model_type != "llm"][:1]:
        yield "pixels", model
    if models:
        yield "majority", models[0]


def _classify_job(plan: Plan, wanted: FeatureSource) -> ClassifyJob:
    from saefari.classify.job import ClassifyJob, JobInputs, ResultLabels

    model, dataset, spec, source = wanted.model, wanted.dataset, wanted.dataset.spec, wanted.source
    labels = ResultLabels(
        dataset=shown(spec.name, dataset.slug),
        config=spec.config_name or "",
        split=spec.split,
        text_field=spec.text_field or "",
    )
    results_of, features = BASELINES, None
    if wanted.layer is not None:
        labels = replace(
            labels,
            model=shown(model.name, model.slug),
            model_type=model.model_type,
            layer=wanted.layer,
            width=wanted.width,
        )
        results_of, features = model.slug, f"layer_{wanted.layer}/{wanted.folder}"
    samples, test_samples = plan.samples(model, dataset, spec.split), test_folder(plan, model, dataset)
    folders = [folder for folder in (samples, test_samples) if folder]
    return ClassifyJob(
        source=source,  # type: ignore[arg-type]
        labels=labels,
        inputs=JobInputs(
            samples,
            test_samples,
            places=tuple(folder.relative_to(plan.layout.activations).as_posix() for folder in folders),
            features=features,
            fingerprint=inputs_fingerprint(samples, test_samples, features),
        ),
        params=plan.config.classification_params,
        settings=plan.config.settings,
        out=plan.layout.results(
            results_of, dataset.slug, spec.config_name, dataset.folder(spec.split), *(features or source).split("/")
        ),
        caution=caution(model, spec, source),
    )


def inputs_fingerprint(samples: Path, test_samples: Path | None, features: str | None) -> str:
    """Return the fingerprint of everything that a classify job reads."""
    digests: list[object] = []
    for folder in (samples, test_samples):
        if folder is None:
            continue
        digests += [(read_samples_record(folder) or {}).get("sha256"), (read_split_record(folder) or {}).get("sha256")]
        if features is not None:
            manifest = Manifest.load(folder / features)
            digests.append([shard.sha256 for shard in manifest.shards] if manifest else None)
    return fingerprint(digests)
