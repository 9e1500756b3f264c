"""The vision model that `vision_training` describes, as part of a plan."""

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
