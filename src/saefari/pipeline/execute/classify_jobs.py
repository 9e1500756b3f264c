"""The feature sources that a plan classifies, and their jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.fingerprint import fingerprint
from saefari.names import BASELINES, HIDDEN
from saefari.pipeline.execute.build_jobs import cells, shown, test_folder
from saefari.pipeline.plan.check_prompt import caution
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan
from saefari.store import Manifest, read_samples_record, read_split_record

if TYPE_CHECKING:
    from saefari.classify.job import ClassifyJob


@dataclass(frozen=True)
class SourceOf:
    """A feature source to classify; model: whose samples it reads. layer and folder: of its features, if it has any."""

    model: ModelPlan
    dataset: DatasetPlan
    source: str
    layer: int | None = None
    folder: str | None = None
    width: str | None = None

    @property
    def name(self) -> str:
        """How messages name it: 'layer 3 3k', 'layer 3 hidden', 'tfidf'."""
        return self.source if self.layer is None else f"layer {self.layer} {self.folder}"


def classify_sources(plan: Plan) -> list[SourceOf]:
    """SAEs and hidden states of layers; once per dataset TF-IDF, pixels and majority."""
    return [source for dataset in plan.datasets for source in _dataset_sources(plan, dataset)]


def classify_jobs(plan: Plan) -> list[ClassifyJob]:
    """One job per feature source."""
    return [_classify_job(plan, source) for source in classify_sources(plan)]


def _dataset_sources(plan: Plan, dataset: DatasetPlan) -> Iterator[SourceOf]:
    models = [model for model in plan.models if dataset in plan.datasets_of(model)]
    for model in [model for model in models if (model.slug, dataset) not in plan.unextracted]:
        for cell in cells(model) if (model.slug, dataset) not in plan.unencoded else ():
            source = "random_sae" if cell.random else "sae"
            yield SourceOf(model, dataset, source, cell.ref.layer, cell.name, cell.ref.width)
        for layer in sorted({sae.ref.layer for sae in model.saes}):
            yield SourceOf(model, dataset, "hidden", layer, HIDDEN)
    for source, model in _model_free(plan, dataset, models):
        yield SourceOf(model, dataset, source)


def _model_free(plan: Plan, dataset: DatasetPlan, models: Sequence[ModelPlan]) -> Iterator[tuple[str, ModelPlan]]:
    """The baselines that need no model, each with one whose samples hold what it reads."""
    if models and dataset.spec.text_field and plan.config.settings.bow_baseline:
        yield "tfidf", models[0]
    for model in [model for model in models if model.model_type != "llm"][:1]:
        yield "pixels", model
    if models:
        yield "majority", models[0]


def _classify_job(plan: Plan, wanted: SourceOf) -> ClassifyJob:
    from saefari.classify.job import ClassifyJob

    model, dataset, source, layer = wanted.model, wanted.dataset, wanted.source, wanted.layer
    settings, spec = plan.config.settings, dataset.spec
    samples, test_samples = plan.samples(model, dataset, spec.split), test_folder(plan, model, dataset)
    of_model = layer is not None
    place = (f"layer_{layer}", str(wanted.folder)) if of_model else (source,)
    features = "/".join(place) if of_model else None
    return ClassifyJob(
        source=source,  # type: ignore[arg-type]
        model=shown(model.name, model.slug) if of_model else "",
        model_type=model.model_type if of_model else "",
        dataset=shown(spec.name, dataset.slug),
        config=spec.config_name or "",
        split=spec.split,
        layer=layer,
        width=wanted.width,
        samples=samples,
        test_samples=test_samples,
        sample_places=tuple(
            place.relative_to(plan.layout.activations).as_posix() for place in (samples, test_samples) if place
        ),
        features=features,
        out=plan.layout.results(
            model.slug if of_model else BASELINES, dataset.slug, spec.config_name, dataset.folder(spec.split), *place
        ),
        params=plan.config.classification_params,
        seed=settings.seed,
        cv_folds=settings.cv_folds,
        n_bootstrap=settings.n_bootstrap,
        tree_depth=settings.tree_depth,
        inputs=inputs_fingerprint(samples, test_samples, features),
        text_field=spec.text_field or "",
        caution=caution(model, spec, source),
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
