"""Keep a training's state on the disk every few minutes, and find it again."""

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
"""Tensors, and what JSON holds."""


@dataclass
class Checkpoint:
    """The place of a training's state. minutes: the least time between two writings."""

    folder: Path
    minutes: float
    _written: float = field(default_factory=time.monotonic)

    def check(self, jobs: list[SaeJob], overwrite: bool) -> None:
        """Make sure that what is there, if anything, belongs to these jobs.

        Raises ConflictError for the state of SAEs with other settings; with `overwrite` it is removed instead. The
        state of other SAEs, which no job of these could go on from, is removed.
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
                "set them back to go on with it, or add --overwrite to start anew"
            )
        if changes or {job.title for job in jobs} - set(stored):
            logger.warning("%s: removed, these SAEs are trained from the start", self.folder)
            remove_checkpoint(self.folder)

    def load(self) -> State | None:
        """The last state that was saved; None where there is none."""
        state = read_checkpoint_state(self.folder)
        return None if state is None else (read_checkpoint_tensors(self.folder), state)

    def save_if_due(self, step: int, state: Callable[[], State]) -> None:
        """Write the state of a step if the last writing was long enough ago."""
        if time.monotonic() - self._written < 60 * self.minutes:
            return
        tensors, record = state()
        write_checkpoint(self.folder, step, tensors, record)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the state: what was trained is saved."""
        remove_checkpoint(self.folder)


def below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, named without it."""
    return {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
