"""The plan of a run: models with their SAEs, datasets, and the folders of their data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from saefari.config import Config, DatasetSpec, ModelType
from saefari.data.slug import dataset_slug
from saefari.errors import ConfigError, Problem
from saefari.pipeline.plan.bos import PlannedBos
from saefari.pipeline.plan.outliers import PlannedOutliers
from saefari.pipeline.plan.saes import PlannedSae
from saefari.pipeline.plan.vision_model import PlannedVision
from saefari.store import Layout
from saefari.store.layout import split_folder


@dataclass(frozen=True)
class ModelPlan:
    """One model and its SAEs, from all entries of conf.yaml that name it."""

    name: str
    slug: str
    model_type: ModelType
    positions: str
    revision: str | None
    saes: tuple[PlannedSae, ...]
    bos: PlannedBos = field(default_factory=PlannedBos)
    outliers: PlannedOutliers = field(default_factory=PlannedOutliers)

    @property
    def title(self) -> str:
        """Name of the model in messages; the slug for a model that the run trains."""
        return self.slug if Path(self.name).name == self.slug else self.name


@dataclass(frozen=True)
class DatasetPlan:
    """One dataset and its folders in the store.

    distinguishing_field: its text_field if another dataset of the run reads the same split from another column, else
    "".
    """

    spec: DatasetSpec
    slug: str
    distinguishing_field: str = ""

    @property
    def splits(self) -> list[str]:
        """The training split, then the separate test split if there is one."""
        return [self.spec.split, *([self.spec.test_split] if self.spec.test_split else [])]

    def folder(self, split: str) -> str:
        """Return the folder name of one of its splits."""
        return split_folder(split, self.distinguishing_field)


def plan_dataset(spec: DatasetSpec, datasets: Sequence[DatasetSpec]) -> DatasetPlan:
    """Plan a dataset among those of the run.

    Datasets that read one split from different text columns get separate folders, in any order.
    """
    slug = dataset_slug(spec.name)
    plan = DatasetPlan(spec, slug)
    others = [
        other.text_field
        for other in datasets
        if (dataset_slug(other.name), other.config_name) == (slug, spec.config_name)
        and set(DatasetPlan(other, slug).splits) & set(plan.splits)
    ]
    return replace(plan, distinguishing_field=spec.text_field or "") if len(set(others)) > 1 else plan


@dataclass
class Plan:
    """Everything that a run will do.

    vision: a vision model to train first. notes: what could not be checked yet. warnings: likely mistakes.
    Failures of earlier stages, as (model slug, dataset): dropped = no rows; unextracted = no hidden states;
    unencoded = hidden states but no codes.
    """

    config: Config
    layout: Layout
    models: list[ModelPlan]
    datasets: list[DatasetPlan]
    vision: PlannedVision | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dropped: set[tuple[str, DatasetPlan]] = field(default_factory=set)
    unextracted: set[tuple[str, DatasetPlan]] = field(default_factory=set)
    unencoded: set[tuple[str, DatasetPlan]] = field(default_factory=set)

    def datasets_of(self, model: ModelPlan) -> list[DatasetPlan]:
        """Return the datasets that a model is run on: all that were not dropped."""
        return [dataset for dataset in self.datasets if (model.slug, dataset) not in self.dropped]

    def extracted_datasets_of(self, model: ModelPlan) -> list[DatasetPlan]:
        """Return the datasets of a model whose extraction did not fail."""
        return [dataset for dataset in self.datasets_of(model) if (model.slug, dataset) not in self.unextracted]

    def pairs(self) -> Iterator[tuple[ModelPlan, DatasetPlan]]:
        """Yield every model with each of its datasets."""
        for model in self.models:
            for dataset in self.datasets_of(model):
                yield model, dataset

    def samples(self, model: ModelPlan, dataset: DatasetPlan, split: str) -> Path:
        """Return the folder of a dataset split as prepared for a model."""
        return self.layout.samples(model.slug, dataset.slug, dataset.spec.config_name, dataset.folder(split))

    def trained(self) -> list[PlannedSae]:
        """Return the SAEs that the run trains."""
        return [sae for model in self.models for sae in model.saes if sae.training is not None]

    def training_only(self) -> Plan:
        """Return the plan with only the SAEs to train, and with datasets only if an SAE is trained on them.

        Raises ConfigError if no SAE is to be trained.
        """
        if not self.trained():
            raise ConfigError([Problem("sae_training", "is missing, and so is models[].sae_train: nothing to train")])
        models = [replace(model, saes=tuple(sae for sae in model.saes if sae.training)) for model in self.models]
        from_rows = any(sae.training and sae.training.corpus is None for sae in self.trained())
        return replace(self, models=[m for m in models if m.saes], datasets=self.datasets if from_rows else [])

    def vision_only(self) -> Plan:
        """Return the plan with only its vision model. Raises ConfigError if it has none."""
        if self.vision is None:
            raise ConfigError([Problem("vision_training", "is missing: nothing to train")])
        return replace(self, models=[], datasets=[])
