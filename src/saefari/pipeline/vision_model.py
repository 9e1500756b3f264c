"""The vision model that `vision_training` names: its place in a plan, its job, and what it has seen of test rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.config import Config, DatasetSpec, ModelSpec, VisionTraining, grid_side
from saefari.errors import ConfigError, ModelError, Problem
from saefari.extract.prepare import rows_wanted
from saefari.models.registry import ModelInfo, model_slug
from saefari.names import folder_name
from saefari.pipeline.jobs import TrainVision
from saefari.store import Layout, count_learned, read_learned
from saefari.store.files import read_json
from saefari.store.layout import TRAINING_RECORD

if TYPE_CHECKING:
    from saefari.pipeline.planned import Plan


@dataclass(frozen=True)
class PlannedVision:
    """A vision model to train before anything else. folder: absolute, so that it is loaded from wherever we are."""

    training: VisionTraining
    dataset: DatasetSpec
    folder: Path
    scratch: Path

    @property
    def info(self) -> ModelInfo:
        """What `describe` will say of it."""
        training = self.training
        return ModelInfo(training.name, training.name, "local", training.layers, training.hidden_size, None)

    def check_positions(self, positions: str) -> None:
        """Raises ModelError for positions that the model does not have."""
        if positions == "cls":
            raise ModelError(f"{self.training.name!r} has no class token: positions: patches counts all that it reads")

    @property
    def is_there(self) -> bool:
        """Whether a model of this name was trained, with whatever settings."""
        return (self.folder / TRAINING_RECORD).is_file()


def planned_vision(config: Config, layout: Layout) -> PlannedVision | None:
    """The vision model that a configuration trains; None where it trains none."""
    training, dataset = config.vision_training, config.vision_dataset()
    if training is None or dataset is None:
        return None
    folder = layout.model(training.name).resolve()
    return PlannedVision(training, dataset, folder, layout.model_checkpoint(training.name))


def folder_of(spec: ModelSpec, vision: PlannedVision | None = None) -> str:
    """A model's folder: of one trained in the run its name; a revision has a folder of its own."""
    if vision is not None:
        return vision.training.name
    slug = model_slug(spec.name)
    return f"{slug}--{folder_name([spec.revision], 'revision')}" if spec.revision else slug


def vision_only(plan: Plan) -> Plan:
    """The plan with nothing but its vision model. Raises ConfigError where it has none."""
    if plan.vision is None:
        raise ConfigError([Problem("vision_training", "is not there: nothing to train")])
    return replace(plan, models=[], datasets=[])


def vision_jobs(plan: Plan, device: str, overwrite: bool) -> list[TrainVision]:
    """The job that trains the plan's vision model, if it has one."""
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


def describe_vision(vision: PlannedVision) -> list[str]:
    """What `--dry-run` says of it."""
    training = vision.training
    side = grid_side(training.convolutions, training.image_size)
    shape = f"{side} x {side} cells of an image of {training.image_size} pixels, {training.layers} blocks"
    state = "is there already" if vision.is_there else f"to train for {training.epochs} epochs on {vision.dataset.name}"
    return [f"vision model {training.name}: {shape} of {training.hidden_size} dimensions; {state}, in {vision.folder}"]


def describe_trained(vision: PlannedVision) -> list[str]:
    """What a run says of it at its end; nothing where it is not there."""
    record = read_json(vision.folder / TRAINING_RECORD)
    if record is None:
        return []
    validation, test = (f"{record['accuracy'][part]:.1%}" for part in ("validation", "test"))
    epochs = f"epoch {record['best_epoch']} of {record['epochs']}, {record['seconds']:.0f} s"
    return [
        f"Vision model {vision.training.name}: accuracy {test} on test rows, {validation} on validation ({epochs}).",
        "It has learned the labels of the training rows: scores by cross-validation are too good, on test rows honest.",
    ]


def learned_test_rows(plan: Plan) -> Iterator[str]:
    """A warning for each prepared split that tests on pictures which its model has learned, where a run trained it."""
    for model, dataset in plan.pairs():
        folder = Path(model.name)
        if not (folder / TRAINING_RECORD).is_file():
            continue
        learned = read_learned(folder)
        for split in dataset.splits:
            if count := count_learned(plan.samples(model, dataset, split), learned):
                yield (
                    f"{dataset.slug}/{split}: {folder.name} was trained on {count:,} of the test rows, so results are "
                    "too good; use the same settings.seed, test_size and max_samples, or another dataset"
                )
