"""Check a configuration against models, SAE catalogues and datasets, and build the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from saefari.config import Config, DatasetSpec, ModelSpec, ModelType, SaeSweep, SaeTraining
from saefari.config.positions import POSITIONS_OF
from saefari.data.dataset import check_dataset
from saefari.errors import PATH_LENGTH, ConfigError, ModelError, Problem, shown
from saefari.models.registry import UnreachableModel, describe
from saefari.pipeline.plan.bos import BosPlanner
from saefari.pipeline.plan.check_devices import device_problems, device_warnings
from saefari.pipeline.plan.check_explain import check_explain
from saefari.pipeline.plan.check_prompt import check_prompts
from saefari.pipeline.plan.check_saes import width_problems
from saefari.pipeline.plan.outliers import planned_outliers
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan, plan_dataset
from saefari.pipeline.plan.previous_runs import has_stored_run
from saefari.pipeline.plan.saes import SaePlanner
from saefari.pipeline.plan.vision_model import PlannedVision, folder_of, planned_vision
from saefari.store import Layout


def make_plan(
    config: Config,
    *,
    need_model: bool = True,
    explaining: bool = True,
    dry_run: bool = False,
    source: str = "conf.yaml",
) -> Plan:
    """Check everything that can be checked before a model is loaded, and return the plan.

    need_model: false for a run that only classifies. explaining: latents will be explained.
    dry_run: unreachable models and data are notes, not errors.
    Raises ConfigError with every error found.
    """
    settings = config.settings
    layout = Layout(Path(settings.base_save_dir), Path(settings.base_classify_dir))
    checker = _Checker(config, layout, reach=not dry_run)
    models = list(checker.models(need_model))
    datasets = list(checker.datasets(need_model))
    checker.prompts(need_model)
    checker.corpora(need_model)
    checker.settings()
    check_explain(config, models, checker.problem, reach=explaining and not dry_run)
    warnings = [f"{model.slug}, {sae.warning}" for model in models for sae in model.saes if sae.warning]
    if need_model or settings.act_only:
        checker.problems += device_problems(settings)
        warnings += device_warnings(settings)
    if checker.problems:
        raise ConfigError(checker.problems, source)
    return Plan(config, layout, models, datasets, checker.vision, checker.notes, warnings)


class _Checker:
    """Checks the configuration and collects all problems."""

    def __init__(self, config: Config, layout: Layout, reach: bool) -> None:
        self._config = config
        self._layout = layout
        self._reach = reach
        self.vision = planned_vision(config, layout)
        self._d_model: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def settings(self) -> None:
        """Check keys of `settings` and `classification_params` that require another key or a package."""
        settings = self._config.settings
        if settings.max_batches is not None and settings.batch_size is None:
            self.problem("settings.max_batches", "needs settings.batch_size, the number of rows of a batch")
        log = settings.training_log
        if log != "none" and find_spec(log) is None:
            self.problem("settings.training_log", f"{log!r} needs the package {log}: pip install {log}")
        params = self._config.classification_params
        if params.extra_top_n is None and params.extra_binarize_value is not None:
            self.problem("classification_params.extra_binarize_value", "needs classification_params.extra_top_n")

    def models(self, need_model: bool) -> Iterator[ModelPlan]:
        """Yield the models with their SAEs; need_model: the models must be available."""
        entries: dict[tuple[str, str | None], list[tuple[str, ModelSpec]]] = {}
        slugs: dict[str, str] = {}
        planner = SaePlanner(self._config, self._layout, self._slug, self.problem)
        bos = BosPlanner(self._config, need_model and self._reach, self.problem, self.notes.append)
        for i, spec in enumerate(self._config.models):
            path = f"models[{i}]"
            if not self._positions_fit(path, spec):
                continue
            slug = self._slug(spec)
            if slugs.setdefault(slug, spec.name) != spec.name:
                self.problem(f"{path}.name", f"{spec.name!r} would share its folder with {slugs[slug]!r}")
            if need_model and not self._shape(path, spec):
                continue
            entries.setdefault((spec.name, spec.revision), []).append((path, spec))
        for group in entries.values():
            self._check_same_settings(group)
            saes = planner.of_model(group)
            if saes:
                if self._config.explain is not None and self._config.explain.reads_stored_controls:
                    saes = tuple(replace(sae, random_explained=True) for sae in saes)
                _, first = group[0]
                if first.name in self._d_model:
                    self.problems += width_problems(first.name, self._d_model[first.name], saes)
                model_type, positions = self._config.model_type_of(first), self._config.positions_of(first)
                vision = self._trained(first)
                name, slug = str(vision.folder) if vision else first.name, folder_of(first, vision)
                outliers = planned_outliers(self._config, first, need_model and self._reach)
                planned_bos = bos.of_model(group, saes)
                yield ModelPlan(name, slug, model_type, positions, first.revision, saes, planned_bos, outliers)

    def _check_same_settings(self, group: list[tuple[str, ModelSpec]]) -> None:
        """Check that all entries of a model agree in type, positions and BOS, since positions are stored once."""
        place, first = group[0]
        keys: dict[str, Callable[[ModelSpec], object]] = {
            "model_type": self._config.model_type_of,
            "positions": self._config.positions_of,
            "add_bos": lambda spec: spec.add_bos,
        }
        for path, spec in group[1:]:
            for key, of in keys.items():
                if of(spec) != of(first):
                    message = f"{of(spec)!r}: {place} reads {spec.name!r} with {of(first)!r}; use a separate run"
                    self.problem(f"{path}.{key}", f"{message} with another settings.base_save_dir")
                    break

    def _slug(self, spec: ModelSpec) -> str:
        return folder_of(spec, self._trained(spec))

    def _trained(self, spec: ModelSpec) -> PlannedVision | None:
        """Return the vision model that the run trains, if the entry refers to it."""
        return self.vision if self._config.is_trained_here(spec) else None

    def _shape(self, path: str, spec: ModelSpec) -> bool:
        """Check that a model has the configured blocks, layers and positions.

        Returns False if it is known to lack a layer.
        """
        try:
            model_type = self._config.model_type_of(spec)
            if vision := self._trained(spec):
                info = vision.info
                vision.check_positions(self._config.positions_of(spec))
            else:
                info = describe(spec.name, spec.revision, reach_hub=self._reach, model_type=model_type)
                self._reader(spec, model_type)
                if not has_stored_run(spec, self._config.settings, self._layout.activations / self._slug(spec)):
                    self._hooks(spec, model_type, info.n_layers)
        except UnreachableModel as error:
            if self._reach:
                self.problem(f"{path}.name", str(error))
            else:
                self.notes.append(f"{path}: {spec.name!r} is not on this machine; its layers were not checked")
            return True
        except ModelError as error:
            self.problem(f"{path}.name", str(error))
            return True
        self._d_model[spec.name] = info.d_model
        beyond = [(j, layer) for j, layer in enumerate(spec.layers) if layer >= info.n_layers]
        if beyond:
            j, layer = beyond[0]
            more = f" and {len(beyond) - 1:,} more" if len(beyond) > 1 else ""
            name = shown(spec.name, PATH_LENGTH)
            self.problem(f"{path}.layers[{j}]", f"{shown(layer)}{more}: {name} has the layers 0 to {info.n_layers - 1}")
        return not beyond

    def _hooks(self, spec: ModelSpec, model_type: ModelType, n_layers: int) -> None:
        """Raise ModelError if a model's blocks, or the modules inside them that SAEs read, cannot be found."""
        from saefari.models.check_structure import check_hooks
        from saefari.models.hooks import HookPoint

        location = self._config.settings.sae_location
        inside = [] if location == "res" else [layer for layer in spec.layers if layer < n_layers]
        hooks = [HookPoint.for_location(layer, location) for layer in inside]
        check_hooks(spec.name, spec.revision, model_type, hooks, reach_hub=self._reach)

    def _positions_fit(self, path: str, spec: ModelSpec) -> bool:
        """Check that this type of model has the positions that count."""
        model_type, positions = self._config.model_type_of(spec), self._config.positions_of(spec)
        known = POSITIONS_OF[model_type]
        if positions not in known:
            key = f"{path}.positions" if spec.positions else "settings.positions"
            self.problem(key, f"{positions!r}: a {model_type} has {', '.join(known)}")
        return positions in known

    def _reader(self, spec: ModelSpec, model_type: ModelType) -> None:
        """Check that the tokenizer or processor loads and yields the positions that count. Raises ModelError."""
        positions = self._config.positions_of(spec)
        if model_type == "llm" and positions == "cls":
            from saefari.models.tokenizer import TextTokenizer, no_class_token

            tokenizer = TextTokenizer.load(spec.name, spec.revision)
            bos = None if spec.add_bos == "auto" or tokenizer.tokenizer.bos_token_id is None else bool(spec.add_bos)
            if not tokenizer.with_bos(bos).begins_with_special:
                self.problem("settings.positions", no_class_token(spec.name))
        if model_type != "llm":
            from saefari.models.image_loader import ImageLoader

            ImageLoader.of(model_type, spec.name, spec.revision, positions, self._config.settings).reader.load()

    def corpora(self, need_rows: bool) -> None:
        """Check the corpora that SAEs are trained on; need_rows: they must be available."""
        sections: list[tuple[str, SaeSweep | SaeTraining | None]] = [
            (f"sae_training[{i}]", sweep) for i, sweep in enumerate(self._config.sae_training)
        ]
        sections += [(f"models[{i}].sae_train", spec.sae_train) for i, spec in enumerate(self._config.models)]
        for path, section in sections:
            if section is None or section.corpus is None:
                continue
            if any(self._config.positions_of(model) != "tokens" for model in self._config.models):
                message = "needs positions: tokens, since it trains on tokens of texts: remove it or change positions"
                self.problem(f"{path}.corpus", message)
            if self._config.settings.include_special_tokens:
                message = "excludes special tokens, settings.include_special_tokens includes them: remove one of them"
                self.problem(f"{path}.corpus", message)
            for key, message in check_dataset(section.corpus.dataset, not self._reach) if need_rows else ():
                self.problem(f"{path}.corpus.{key}", message)

    def datasets(self, need_rows: bool) -> Iterator[DatasetPlan]:
        """Yield the datasets; need_rows: their rows must be available."""
        slugs: dict[tuple[str, str | None, str], str] = {}
        for i, spec in enumerate(self._config.datasets):
            path = f"datasets[{i}]"
            self._fields(path, spec)
            if need_rows:
                for key, message in check_dataset(spec, allow_unreachable=not self._reach):
                    self.problem(f"{path}.{key}", message)
            plan = plan_dataset(spec, self._config.datasets)
            for split in plan.splits:
                place = (plan.slug, spec.config_name, plan.folder(split))
                if place in slugs:
                    self.problem(f"{path}.name", f"split {split!r} of {spec.name!r} is already used by {slugs[place]}")
                slugs[place] = path
            yield plan

    def prompts(self, need_rows: bool) -> None:
        """Check that no text gives the label away; need_rows: the rows must be available."""
        problems, notes = check_prompts(self._config, need_rows=need_rows, reach=self._reach)
        self.problems += problems
        self.notes += notes

    def _fields(self, path: str, spec: DatasetSpec) -> None:
        """Check that the dataset has the fields that its models read."""
        types = {self._config.model_type_of(model) for model in self._config.models}
        if spec.text_field is None and "llm" in types:
            self.problem(f"{path}.text_field", "is missing: a text model needs it")
        if spec.image_field is None and types - {"llm"}:
            self.problem(f"{path}.image_field", f"is missing: a {min(types - {'llm'})} needs it")
        for model in self._config.models:
            if spec.text_field is None and self._config.positions_of(model) == "text":
                self.problem(f"{path}.text_field", "is missing: `positions: text` needs it")

    def problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))
