"""Plan the vision model of `vision_training`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saefari.config import Config, DatasetSpec, ModelSpec, VisionTraining, grid_side
from saefari.errors import ModelError
from saefari.models.registry import ModelInfo, model_slug
from saefari.names import folder_name
from saefari.store import Layout
from saefari.store.files import read_json
from saefari.store.layout import TRAINING_RECORD


@dataclass(frozen=True)
class PlannedVision:
    """A vision model to train first. folder: absolute, so that it loads from any working directory."""

    training: VisionTraining
    dataset: DatasetSpec
    folder: Path
    scratch: Path

    @property
    def info(self) -> ModelInfo:
        """The result that `describe` will return once the model is trained."""
        training = self.training
        return ModelInfo(training.name, training.name, "local", training.layers, training.hidden_size, None)

    def check_positions(self, positions: str) -> None:
        """Raise ModelError for positions that the model does not have."""
        if positions == "cls":
            raise ModelError(f"{self.training.name!r} has no class token: use positions: patches")

    @property
    def is_there(self) -> bool:
        """Whether a model of this name was trained, with any settings."""
        return (self.folder / TRAINING_RECORD).is_file()


def planned_vision(config: Config, layout: Layout) -> PlannedVision | None:
    """Return the vision model that a configuration trains, if any."""
    training, dataset = config.vision_training, config.vision_dataset()
    if training is None or dataset is None:
        return None
    folder = layout.model(training.name).resolve()
    return PlannedVision(training, dataset, folder, layout.model_checkpoint(training.name))


def folder_of(spec: ModelSpec, vision: PlannedVision | None = None) -> str:
    """Return a model's folder name: the name of a model trained in the run, else the slug, with the revision if set."""
    if vision is not None:
        return vision.training.name
    slug = model_slug(spec.name)
    return f"{slug}--{folder_name([spec.revision], 'revision')}" if spec.revision else slug


def describe_vision(vision: PlannedVision) -> list[str]:
    """Format the planned vision model, for `--dry-run`."""
    training = vision.training
    side = grid_side(training.convolutions, training.image_size)
    shape = f"{side} x {side} cells of an image of {training.image_size} pixels, {training.layers} blocks"
    state = "already trained" if vision.is_there else f"to train for {training.epochs} epochs on {vision.dataset.name}"
    return [f"vision model {training.name}: {shape} of {training.hidden_size} dimensions; {state}, in {vision.folder}"]


def describe_trained(vision: PlannedVision) -> list[str]:
    """Format the trained vision model, for the end of a run; [] if it does not exist."""
    record = read_json(vision.folder / TRAINING_RECORD)
    if record is None:
        return []
    validation, test = (f"{record['accuracy'][part]:.1%}" for part in ("validation", "test"))
    epochs = f"epoch {record['best_epoch']} of {record['epochs']}, {record['seconds']:.0f} s"
    return [
        f"Vision model {vision.training.name}: accuracy {test} on test rows, {validation} on validation ({epochs}).",
        "It learned the labels of the training rows, so cross-validation scores are optimistic; test scores are not.",
    ]
