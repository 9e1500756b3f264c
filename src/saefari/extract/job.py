"""The job that extracts hidden states and codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from saefari.models.image_loader import ImageLoader, Images
from saefari.models.source import ModelSource
from saefari.names import RANDOM
from saefari.saes.ref import SaeRef


@dataclass(frozen=True)
class Cell:
    """One SAE to encode with, or its control with random weights.

    trained: the run itself trains it, so its hook point is known to be right.
    """

    ref: SaeRef
    random: bool = False
    trained: bool = False

    @property
    def name(self) -> str:
        """Folder name of its codes."""
        return self.ref.width + RANDOM if self.random else self.ref.width


@dataclass(frozen=True)
class JobImages:
    """The images of a job's samples and calibration samples, and their loader."""

    samples: Images
    calibration: Images
    loader: ImageLoader


@dataclass(frozen=True)
class ExtractJob:
    """One model over one dataset split. Idempotent: makes only shards that are missing or do not verify."""

    title: str
    model: ModelSource
    samples: Path
    calibration: Path
    """Samples, possibly of another split, whose training rows calibrate the random controls."""
    images: JobImages | None
    """None for texts, whose tokens are stored."""
    cells: tuple[Cell, ...]
    encode: bool
    """False = store activations only (settings.act_only)."""
    store_positions: bool
    max_tokens: int
    max_sequences: int | None
    seed: int
    overwrite: bool
    outlier_norm: float | None = None
    """A position with a norm above this multiple of its layer's median is an outlier; None = no outliers."""
    bos_unknown: bool = False
    """The plan could not read from the SAEs' metadata whether texts begin with BOS, so check it after loading."""

    @property
    def is_calibration(self) -> bool:
        """Whether the job's own samples contain the training rows."""
        return self.samples == self.calibration

    @property
    def coded_cells(self) -> tuple[Cell, ...]:
        """The cells encoded during the forward pass: none if only activations are stored."""
        return self.cells if self.encode else ()

    def on(self, device: str) -> ExtractJob:
        """Return the same job for another device."""
        return replace(self, model=self.model.on(device))
