"""Save and load the state of a training, every few minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from saefari.errors import ConflictError
from saefari.log import logger
from saefari.store.checkpoints import (
    read_checkpoint_state,
    read_checkpoint_tensors,
    remove_checkpoint,
    write_checkpoint,
)
from saefari.train.job import SaeJob, changed_settings

State = tuple[dict[str, torch.Tensor], dict[str, Any]]
"""Tensors, and JSON-able values."""


@dataclass
class Checkpoint:
    """The folder of a training's state. minutes: minimum time between two checkpoints."""

    folder: Path
    minutes: float
    _written: float = field(default_factory=time.monotonic)

    def check(self, jobs: list[SaeJob], overwrite: bool) -> None:
        """Check that a stored state, if any, belongs to these jobs.

        Raises ConflictError for a state of SAEs with other settings; with `overwrite`, removes it instead. Removes the
        state if it lacks one of the jobs' SAEs.
        """
        state = read_checkpoint_state(self.folder)
        if state is None:
            return
        stored = state["settings"]
        changes = [
            f"{job.title}: {changed}"
            for job in jobs
            if job.title in stored and (changed := changed_settings(stored[job.title], job.settings))
        ]
        if changes and not overwrite:
            raise ConflictError(
                f"{self.folder} holds the unfinished training of an SAE with other settings ({'; '.join(changes)}); "
                "restore them to resume it, or add --overwrite to start again"
            )
        if changes or {job.title for job in jobs} - set(stored):
            logger.warning("%s: checkpoint removed; these SAEs are trained from the start", self.folder)
            remove_checkpoint(self.folder)

    def load(self) -> State | None:
        """Return the last saved state; None if there is none."""
        state = read_checkpoint_state(self.folder)
        return None if state is None else (read_checkpoint_tensors(self.folder), state)

    def save_if_due(self, step: int, state: Callable[[], State]) -> None:
        """Save the state of a step if the last checkpoint is old enough."""
        if time.monotonic() - self._written < 60 * self.minutes:
            return
        tensors, record = state()
        write_checkpoint(self.folder, step, tensors, record)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the stored state."""
        remove_checkpoint(self.folder)


def select_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names start with `prefix`, without the prefix."""
    return {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
