"""SAEs to train, and a check of whether they are trained already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from saefari.config import Corpus, SaeTraining
from saefari.errors import ConflictError, shown
from saefari.models.hooks import HookPoint
from saefari.models.image_loader import ImageLoader, Images
from saefari.models.source import ModelSource
from saefari.store.files import read_json
from saefari.store.layout import SAE_QUALITY


@dataclass(frozen=True)
class SaeJob:
    """One SAE to train."""

    layer: int
    width: str
    training: SaeTraining
    hook: HookPoint
    folder: Path
    """Output folder, in SAELens' format."""
    settings: dict[str, Any]
    """JSON-able: everything that shapes the SAE. A trained SAE with equal settings is reused."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """sae-lens metadata saved with the SAE: model, hook, data, context."""
    norm_limit: float | None = None
    """Hidden states of a larger norm are outliers, excluded from training and evaluation."""

    @property
    def title(self) -> str:
        """Name of the SAE in messages."""
        return f"{self.width} (layer {self.layer})"


@dataclass(frozen=True)
class TrainingData:
    """The activations that SAEs learn from: those of stored samples, or of a corpus of texts."""

    samples: tuple[Path, ...] = ()
    """Folders of the dataset splits whose training rows are used; none with a corpus."""
    stored: bool = False
    """Read the positions stored beside the samples instead of running the model."""
    images: tuple[Images, ...] = ()
    """Images of each samples folder, for a model that reads images."""
    loader: ImageLoader | None = None
    corpus: Corpus | None = None


@dataclass(frozen=True)
class ProgressFiles:
    """What a training writes while it runs."""

    checkpoint: Path
    """Folder of the training's state."""
    checkpoint_minutes: float
    """Minimum time between two checkpoints."""
    log: str
    """settings.training_log."""
    log_folder: Path


@dataclass(frozen=True)
class TrainJob:
    """SAEs of one model that are trained on the same activations. Idempotent: trains only the missing ones."""

    title: str
    model: ModelSource
    saes: tuple[SaeJob, ...]
    """SAEs of one stream (corpus, n_positions, batch_size, buffer_size)."""
    data: TrainingData
    progress: ProgressFiles
    seed: int
    max_tokens: int
    overwrite: bool
    prepend_bos: bool | None = None
    """Whether to add BOS to texts of a corpus; None = as the tokenizer does. Samples record their own."""
    outlier_norm: float | None = None
    """Positions with a norm above this multiple of the median are outliers, which no SAE learns from."""

    @property
    def reads_norms(self) -> bool:
        """Whether it needs the median norms stored beside its samples."""
        return self.outlier_norm is not None and self.data.corpus is None

    def on(self, device: str) -> TrainJob:
        """Return the same job for another device."""
        return replace(self, model=self.model.on(device))


def is_trained(job: SaeJob) -> bool:
    """Return whether the job's folder already holds this SAE.

    Raises ConflictError with the differences if it holds an SAE trained with other settings.
    """
    record = read_json(job.folder / SAE_QUALITY)
    if record is None:
        return False
    changes = changed_settings(record["settings"], job.settings)
    if changes:
        raise ConflictError(
            f"{job.folder} holds an SAE trained with other settings ({changes}); "
            f"give the new one another width name, or add --overwrite"
        )
    return True


def changed_settings(stored: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Describe the differences between two settings; empty if there are none."""
    differing = sorted(key for key in stored | wanted if stored.get(key) != wanted.get(key))
    return "; ".join(f"{key}: {shown(stored.get(key))} stored, {shown(wanted.get(key))} now" for key in differing)
