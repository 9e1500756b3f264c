"""What an extraction is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from saefari.models.image_loader import ImageLoader, Images
from saefari.models.source import ModelSource
from saefari.names import RANDOM
from saefari.saes.ref import SaeRef


@dataclass(frozen=True)
class Cell:
    """One SAE whose codes are wanted, or its control with random weights.

    trained: it was trained in this run, so that it cannot be at the wrong place.
    """

    ref: SaeRef
    random: bool = False
    trained: bool = False

    @property
    def name(self) -> str:
        """The folder of its codes."""
        return self.ref.width + RANDOM if self.random else self.ref.width


@dataclass(frozen=True)
class JobImages:
    """The images of a job's samples and of its calibration's, and what reads them."""

    samples: Images
    calibration: Images
    loader: ImageLoader


@dataclass(frozen=True)
class ExtractJob:
    """One model over one dataset split. Idempotent: it makes only the shards that are missing or do not verify."""

    title: str
    model: ModelSource
    samples: Path
    calibration: Path
    """Samples whose training rows calibrate the random controls; they may be another split's."""
    images: JobImages | None
    """None = the rows are texts, whose tokens are stored."""
    cells: tuple[Cell, ...]
    encode: bool
    """False = store activations only (settings.act_only)."""
    store_positions: bool
    max_tokens: int
    max_sequences: int | None
    seed: int
    overwrite: bool
    outlier_norm: float | None = None
    """A position whose norm is above this multiple of its layer's median is an outlier; None = none is."""
    bos_unsettled: bool = False
    """Whether BOS begins the texts depends on the SAEs' metadata, which the plan could not read."""

    @property
    def is_calibration(self) -> bool:
        """The job's own samples hold its training rows."""
        return self.samples == self.calibration

    @property
    def coded_cells(self) -> tuple[Cell, ...]:
        """The cells whose codes are made in the forward pass: none where activations alone are stored."""
        return self.cells if self.encode else ()

    def on(self, device: str) -> ExtractJob:
        """Return the same job for another device."""
        return replace(self, model=self.model.on(device))
