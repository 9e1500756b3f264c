"""What a run will do: its models with their SAEs, its datasets, and where their data lie."""

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
    """One model and its SAEs; entries of conf.yaml that name the same model are one."""

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
        """How messages name the model; one that the run trains has its folder as name."""
        return self.slug if Path(self.name).name == self.slug else self.name


@dataclass(frozen=True)
class DatasetPlan:
    """One dataset and its place in the store.

    distinguishing_field: the column of the texts where another dataset of the run is the same split with another one, else "".
    """

    spec: DatasetSpec
    slug: str
    distinguishing_field: str = ""

    @property
    def splits(self) -> list[str]:
        """The training split, then the test split if it has one of its own."""
        return [self.spec.split, *([self.spec.test_split] if self.spec.test_split else [])]

    def folder(self, split: str) -> str:
        """Folder name of one of its splits."""
        return split_folder(split, self.distinguishing_field)


def plan_dataset(spec: DatasetSpec, datasets: Sequence[DatasetSpec]) -> DatasetPlan:
    """Give a dataset its place among those of the run.

    Where several read one split from different columns of text, each has a folder of its own, whatever their order.
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

    vision: a vision model to train before all else.
    notes: what could not be checked yet. warnings: what is likely not as meant.
    What failed in an earlier stage, as (model slug, dataset): dropped, where there are no rows to read; unextracted,
    where there are no hidden states; unencoded, where there are hidden states but no codes.
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
        """The datasets that a model is run over: all but those that were dropped."""
        return [dataset for dataset in self.datasets if (model.slug, dataset) not in self.dropped]

    def extracted_datasets_of(self, model: ModelPlan) -> list[DatasetPlan]:
        """Those of them whose extraction did not fail."""
        return [dataset for dataset in self.datasets_of(model) if (model.slug, dataset) not in self.unextracted]

    def pairs(self) -> Iterator[tuple[ModelPlan, DatasetPlan]]:
        """Every model with each of its datasets."""
        for model in self.models:
            for dataset in self.datasets_of(model):
                yield model, dataset

    def samples(self, model: ModelPlan, dataset: DatasetPlan, split: str) -> Path:
        """The folder of a dataset split as a model sees it."""
        return self.layout.samples(model.slug, dataset.slug, dataset.spec.config_name, dataset.folder(split))

    def trained(self) -> list[PlannedSae]:
        """The SAEs that the run trains."""
        return [sae for model in self.models for sae in model.saes if sae.training is not None]

    def training_only(self) -> Plan:
        """The plan without the SAEs that are not trained, and without the datasets if none is trained on them.

        Raises ConfigError where nothing is trained.
        """
        if not self.trained():
            raise ConfigError([Problem("sae_training", "is not there, nor a models[].sae_train: nothing to train")])
        models = [replace(model, saes=tuple(sae for sae in model.saes if sae.training)) for model in self.models]
        from_rows = any(sae.training and sae.training.corpus is None for sae in self.trained())
        return replace(self, models=[m for m in models if m.saes], datasets=self.datasets if from_rows else [])

    def vision_only(self) -> Plan:
        """The plan with nothing but its vision model. Raises ConfigError where it has none."""
        if self.vision is None:
            raise ConfigError([Problem("vision_training", "is not there: nothing to train")])
        return replace(self, models=[], datasets=[])
