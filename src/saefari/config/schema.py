"""Schema of conf.yaml: its sections, and the checks that involve more than one of them.

Each section is a class with one field per key; unknown keys are errors. `make docs` writes docs/configuration.md from
the docstrings of the fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from saefari.config.classification import ClassificationParams
from saefari.config.dataset import DatasetSpec
from saefari.config.explanation import Explain
from saefari.config.model import ModelSpec
from saefari.config.positions import POSITIONS_OF, ModelType
from saefari.config.section import Place, Section, validation_error
from saefari.config.settings import Settings
from saefari.config.training import SaeSweep, SaeTraining
from saefari.config.vision import VisionTraining
from saefari.errors import enumerated, nearest


class Config(Section):
    """The sections of conf.yaml."""

    settings: Settings = Settings()
    """Settings of the whole run."""
    models: Annotated[list[ModelSpec], Field(min_length=1)]
    """Models, their layers and SAEs."""
    datasets: list[DatasetSpec] = []
    """Datasets to classify. May be omitted if every SAE is trained on a corpus and nothing is classified."""
    classification_params: ClassificationParams = ClassificationParams()
    """Settings of the classifiers' features."""
    sae_training: list[SaeSweep] = []
    """SAEs to train for every layer of every model."""
    vision_training: VisionTraining | None = None
    """A vision model to train from scratch before everything else."""
    explain: Explain | None = None
    """Explanations of latents."""

    def model_type_of(self, model: ModelSpec) -> ModelType:
        """Return the type of a model: its own, or that of `settings`."""
        return model.model_type or self.settings.model_type

    def positions_of(self, model: ModelSpec) -> str:
        """Return which positions of a model count: its own setting, that of `settings`, or the default of its type."""
        return model.positions or self.settings.positions or POSITIONS_OF[self.model_type_of(model)][0]

    def is_trained_here(self, model: ModelSpec) -> bool:
        """Return whether `vision_training` trains this model."""
        return self.vision_training is not None and model.name == self.vision_training.name

    def vision_dataset(self) -> DatasetSpec | None:
        """Return the dataset that `vision_training` trains on; None if the section or the dataset is missing."""
        if self.vision_training is None:
            return None
        wanted = self.vision_training.dataset
        return next((dataset for dataset in self.datasets if wanted in (None, dataset.name)), None)

    def swept(self) -> Iterator[tuple[int, str, SaeTraining]]:
        """Yield (index of the `sae_training` entry, name, options) of every SAE of the sweeps."""
        for i, sweep in enumerate(self.sae_training):
            for name, training in sweep.saes():
                yield i, name, training

    @model_validator(mode="after")
    def _check_sections(self) -> Config:
        found = [*self._duplicate_names(), *self._missing_keys(), *self._vision_errors()]
        if found:
            raise validation_error(found)
        return self

    def _duplicate_names(self) -> Iterator[tuple[Place, object, str]]:
        """Yield an error for each SAE name that is used twice: the name is the SAE's folder."""
        taken: dict[str, int] = {}
        for i, name, _ in self.swept():
            if name in taken:
                place = ("sae_training", i)
                yield (
                    place,
                    name,
                    f"sae_training[{taken[name]}] has an SAE with the same name: give one of them a `name`",
                )
            taken.setdefault(name, i)
        for m, model in enumerate(self.models):
            for w, width in enumerate(model.widths):
                if width in taken:
                    yield (
                        ("models", m, "widths", w),
                        width,
                        f"sae_training[{taken[width]}] trains an SAE with the same name: rename one of them",
                    )

    def _missing_keys(self) -> Iterator[tuple[Place, object, str]]:
        """Yield an error for each optional key that this file needs."""
        for m, model in enumerate(self.models):
            if not model.widths and not self.sae_training:
                yield ("models", m, "widths"), [], "no SAE is named, and there is no sae_training: give one of them"
        for d, dataset in enumerate(self.datasets):
            if dataset.label_field is None:
                yield ("datasets", d, "label_field"), None, "the classifiers need labels: name a column"
        if not self.datasets and not self._reads_corpora_only():
            yield ("datasets",), [], "a dataset is required unless every SAE is trained on its own corpus"

    def _vision_errors(self) -> Iterator[tuple[Place, object, str]]:
        """Yield an error for each key of another section that contradicts `vision_training`."""
        if self.vision_training is None:
            return
        dataset = self.vision_dataset()
        if dataset is None and self.datasets:
            names = [one.name for one in self.datasets]
            message = (
                f"is not the name of a dataset: {enumerated(names)}{nearest(str(self.vision_training.dataset), names)}"
            )
            yield ("vision_training", "dataset"), self.vision_training.dataset, message
        if dataset is not None and dataset.image_field is None:
            place = ("datasets", self.datasets.index(dataset), "image_field")
            yield place, None, "vision_training needs images: name a column"
        for m, model in enumerate(self.models):
            if not self.is_trained_here(model):
                continue
            if self.model_type_of(model) != "vit":
                message = "vision_training trains this model: set model_type: vit"
                yield ("models", m, "model_type"), self.model_type_of(model), message
            for key in ("revision", "sae_release"):
                if getattr(model, key) is not None:
                    yield (
                        ("models", m, key),
                        getattr(model, key),
                        "has no effect on a model that the run trains: remove it",
                    )

    def _reads_corpora_only(self) -> bool:
        sections = [*self.sae_training, *(model.sae_train for model in self.models if model.widths)]
        return all(section is not None and section.corpus is not None for section in sections)
