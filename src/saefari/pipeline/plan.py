"""conf.yaml checked against models, catalogues and datasets, and turned into what is to be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from saefari.config import Config, DatasetSpec, ModelSpec
from saefari.data.slug import dataset_slug
from saefari.data.text import check_dataset
from saefari.errors import ConfigError, ModelError, Problem, SaeError
from saefari.models.registry import UnreachableModel, describe, model_slug
from saefari.names import folder_name
from saefari.saes.catalogue import find_sae
from saefari.saes.local import find_local_sae
from saefari.saes.ref import SaeRef
from saefari.store import Layout


@dataclass(frozen=True)
class ModelPlan:
    """One model and its SAEs; entries of conf.yaml that name the same model are one."""

    name: str
    slug: str
    model_type: str
    revision: str | None
    saes: tuple[PlannedSae, ...]


@dataclass(frozen=True)
class PlannedSae:
    """One SAE of a model; `spec` is the entry of conf.yaml that asked for it."""

    ref: SaeRef
    spec: ModelSpec


@dataclass(frozen=True)
class DatasetPlan:
    """One dataset and its place in the store."""

    spec: DatasetSpec
    slug: str

    @property
    def splits(self) -> list[str]:
        """The training split, then the test split if it has one of its own."""
        return [self.spec.split, *([self.spec.test_split] if self.spec.test_split else [])]


@dataclass
class Plan:
    """Everything that a run will do.

    notes: what could not be checked yet.
    dropped: models' views of datasets that failed in an earlier stage, as (model slug, dataset).
    """

    config: Config
    layout: Layout
    models: list[ModelPlan]
    datasets: list[DatasetPlan]
    notes: list[str] = field(default_factory=list)
    dropped: set[tuple[str, DatasetPlan]] = field(default_factory=set)

    def datasets_of(self, model: ModelPlan) -> list[DatasetPlan]:
        """The datasets that a model is run over: all but those that were dropped."""
        return [dataset for dataset in self.datasets if (model.slug, dataset) not in self.dropped]

    def pairs(self) -> Iterator[tuple[ModelPlan, DatasetPlan]]:
        """Every model with each of its datasets."""
        for model in self.models:
            for dataset in self.datasets_of(model):
                yield model, dataset

    def samples(self, model: ModelPlan, dataset: DatasetPlan, split: str) -> Path:
        """The folder of a dataset split as a model sees it."""
        return self.layout.samples(model.slug, dataset.slug, dataset.spec.config_name, split)


def make_plan(config: Config, *, need_model: bool = True, dry_run: bool = False, source: str = "conf.yaml") -> Plan:
    """Check everything that can be checked before a model is loaded.

    need_model: false for a run that only classifies. dry_run: what cannot be reached is noted, not an error.
    Raises ConfigError with every mistake found.
    """
    settings = config.settings
    layout = Layout(Path(settings.base_save_dir), Path(settings.base_classify_dir))
    checker = _Checker(config, layout, reach=not dry_run)
    models = list(checker.models(need_model))
    datasets = list(checker.datasets(need_model))
    checker.settings()
    if checker.problems:
        raise ConfigError(checker.problems, source)
    return Plan(config, layout, models, datasets, checker.notes)


class _Checker:
    """Walks the configuration and collects problems instead of stopping at the first."""

    def __init__(self, config: Config, layout: Layout, reach: bool) -> None:
        self._config = config
        self._layout = layout
        self._reach = reach
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def settings(self) -> None:
        """Keys of `settings` and `classification_params` that need one another."""
        settings = self._config.settings
        if settings.max_batches is not None and settings.batch_size is None:
            self._problem("settings.max_batches", "counts batches of settings.batch_size rows: give that too")
        params = self._config.classification_params
        if params.extra_top_n is None and params.extra_binarize_value is not None:
            self._problem("classification_params.extra_binarize_value", "needs classification_params.extra_top_n")

    def models(self, need_model: bool) -> Iterator[ModelPlan]:
        """The models with their SAEs; need_model: the models themselves must be within reach."""
        by_name: dict[tuple[str, str | None], list[PlannedSae]] = {}
        slugs: dict[str, str] = {}
        for i, spec in enumerate(self._config.models):
            path = f"models[{i}]"
            model_type = self._config.model_type_of(spec)
            if model_type != "llm":
                key = f"{path}.model_type" if spec.model_type else "settings.model_type"
                self._problem(key, f"{model_type!r} is planned, but this release runs text models only: use llm")
                continue
            slug = folder_of(spec)
            if slugs.setdefault(slug, spec.name) != spec.name:
                self._problem(f"{path}.name", f"{spec.name!r} would share its folder with {slugs[slug]!r}")
            if need_model:
                self._shape(path, spec)
            planned = by_name.setdefault((spec.name, spec.revision), [])
            for sae in self._saes(path, spec, slug):
                clash = [p for p in planned if (p.ref.layer, p.ref.width) == (sae.ref.layer, sae.ref.width)]
                if clash:
                    self._problem(path, f"layer {sae.ref.layer}, width {sae.ref.width!r} is already asked for above")
                elif other := next((p for p in planned if _reads_elsewhere(p.ref, sae.ref)), None):
                    self._problem(
                        f"{path}.widths",
                        f"at layer {sae.ref.layer}, {sae.ref.width!r} reads {sae.ref.hook}, {other.ref.width!r} reads "
                        f"{other.ref.hook}: give each a run and a settings.base_save_dir of its own",
                    )
                else:
                    planned.append(sae)
        for saes in by_name.values():
            if saes:
                spec = saes[0].spec
                model_type = self._config.model_type_of(spec)
                yield ModelPlan(spec.name, folder_of(spec), model_type, spec.revision, tuple(saes))

    def _shape(self, path: str, spec: ModelSpec) -> None:
        """The model is there, and has the layers."""
        try:
            info = describe(spec.name, spec.revision, reach_hub=self._reach)
        except UnreachableModel as error:
            if self._reach:
                self._problem(f"{path}.name", str(error))
            else:
                self.notes.append(f"{path}: {spec.name!r} is not on this machine, so its layers were not checked")
            return
        except ModelError as error:
            self._problem(f"{path}.name", str(error))
            return
        for j, layer in enumerate(spec.layers):
            if layer >= info.n_layers:
                self._problem(f"{path}.layers[{j}]", f"{layer}: {spec.name!r} has the layers 0 to {info.n_layers - 1}")

    def _saes(self, path: str, spec: ModelSpec, slug: str) -> Iterator[PlannedSae]:
        for j, layer in enumerate(spec.layers):
            for k, width in enumerate(spec.widths):
                try:
                    yield PlannedSae(self._sae(spec, slug, layer, width), spec)
                except (SaeError, ModelError) as error:
                    self._problem(f"{path}.widths[{k}]", f"{width!r} at layers[{j}] = {layer}: {error}")

    def _sae(self, spec: ModelSpec, slug: str, layer: int, width: str) -> SaeRef:
        location = self._config.settings.sae_location
        if spec.sae_train is not None:
            from saefari.models.hooks import HookPoint

            spec.sae_train.latents(width)  # raises where that is not clear
            folder = self._layout.sae(slug, layer, width)
            return SaeRef(layer, width, path=str(folder), hook=HookPoint.for_location(layer, location).name)
        if spec.sae_path is not None:
            return find_local_sae(spec.sae_path, layer, width)
        return find_sae(spec.name, layer, width, location, spec.sae_release)

    def datasets(self, need_rows: bool) -> Iterator[DatasetPlan]:
        """The datasets; need_rows: their rows must be within reach."""
        slugs: dict[tuple[str, str | None, str], str] = {}
        for i, spec in enumerate(self._config.datasets):
            path = f"datasets[{i}]"
            slug = dataset_slug(spec.name)
            if spec.text_field is None and any(self._config.model_type_of(m) == "llm" for m in self._config.models):
                self._problem(f"{path}.text_field", "is missing: a text model needs it")
            if need_rows:
                for key, message in check_dataset(spec, allow_unreachable=not self._reach):
                    self._problem(f"{path}.{key}", message)
            plan = DatasetPlan(spec, slug)
            for split in plan.splits:
                place = (slug, spec.config_name, split)
                if place in slugs:
                    self._problem(f"{path}.name", f"split {split!r} of {spec.name!r} is already used by {slugs[place]}")
                slugs[place] = path
            yield plan

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def folder_of(spec: ModelSpec) -> str:
    """The model's folder; a revision has a folder of its own."""
    slug = model_slug(spec.name)
    return f"{slug}--{folder_name([spec.revision], 'revision')}" if spec.revision else slug


def _reads_elsewhere(one: SaeRef, other: SaeRef) -> bool:
    """Two SAEs of one layer read different hook points, as far as is known before they are loaded."""
    return one.layer == other.layer and None not in (one.hook, other.hook) and one.hook != other.hook
