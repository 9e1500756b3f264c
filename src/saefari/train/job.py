"""An SAE to train, and whether it is there already."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saefari.config import SaeTraining
from saefari.errors import ConflictError, shown
from saefari.models.hooks import HookPoint
from saefari.store.files import read_json
from saefari.store.layout import SAE_QUALITY


@dataclass(frozen=True)
class SaeJob:
    """One SAE to train; safe to run twice."""

    layer: int
    width: str
    training: SaeTraining
    hook: HookPoint
    folder: Path
    """Where the SAE goes, in SAELens' format."""
    settings: dict[str, Any]
    """JSON-able: everything that shapes the SAE. It decides whether a trained one is reused."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What is saved with the SAE for those who load it: model, hook, data, context."""
    norm_limit: float | None = None
    """Hidden states of a larger norm are outliers, which it neither learns from nor is measured on."""

    @property
    def title(self) -> str:
        """How messages name the SAE."""
        return f"{self.width} (layer {self.layer})"


def is_trained(job: SaeJob) -> bool:
    """Whether the job's folder already holds this SAE.

    Raises ConflictError, naming what differs, when it holds one that was trained with other settings.
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
    """What differs between two settings in words; empty where nothing does."""
    differing = sorted(key for key in stored | wanted if stored.get(key) != wanted.get(key))
    return "; ".join(f"{key}: {shown(stored.get(key))} there, {shown(wanted.get(key))} now" for key in differing)
