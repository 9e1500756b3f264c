"""Train several SAEs on one stream of activations, resuming from a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from saefari.config import SaeTraining
from saefari.errors import SaeError
from saefari.train.activation_sources import ActivationSource, Block
from saefari.train.buffer import ShuffleBuffer
from saefari.train.checkpoint import Checkpoint, State, select_prefix
from saefari.train.curves import Figures, is_point
from saefari.train.job import SaeJob
from saefari.train.sae_fit import SaeFit

OnStep = Callable[[int, dict[str, Figures]], None]
"""Called after every step with the positions trained on and, at points of the curves, figures by SAE title."""


def train_saes(
    source: ActivationSource,
    jobs: Sequence[SaeJob],
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    on_step: OnStep | None = None,
) -> list[SaeFit]:
    """Train every SAE on the same batches; one that diverges stops and sets its `failure`.

    jobs: SAEs of one stream (n_positions, batch_size, buffer_size).
    checkpoint: where the state is saved and resumed from.
    on_step: also called once at the start, with the positions already trained on.
    The result depends on the seed, not on the caller's random state, which is preserved, nor on interruptions.
    Raises SaeError for invalid settings or a source that is too short.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        training = _Training(source, jobs, seed, device)
        if checkpoint is not None and (state := checkpoint.load()) is not None:
            training.restore(*state)
        training.run(checkpoint, on_step or (lambda positions, figures: None))
    return training.fits


class _Training:
    """The SAEs in training, their shuffle buffer, and the current step."""

    def __init__(self, source: ActivationSource, jobs: Sequence[SaeJob], seed: int, device: torch.device) -> None:
        section = jobs[0].training
        self._jobs, self._seed, self._device = jobs, seed, device
        self._batch_size, self._n_positions = section.batch_size, section.n_positions
        self._n_steps = math.ceil(section.n_positions / section.batch_size)
        self._step = 0
        size = _buffer_size(source, section)
        self._buffer = ShuffleBuffer(source, size, section.batch_size, self._n_steps * section.batch_size, seed)
        self.fits: list[SaeFit] = []

    def run(self, checkpoint: Checkpoint | None, on_step: OnStep) -> None:
        """Train until the last step, or until every SAE has diverged."""
        on_step(self._positions(), {})
        while self._step < self._n_steps:
            batch = self._buffer.draw()
            if not self.fits:
                self._create_fits()
                for fit in self.fits:
                    fit.calibrate(batch[fit.job.hook])
            self._step += 1
            figures = self._train_step(batch)
            on_step(self._positions(), figures)
            if all(fit.failure for fit in self.fits):
                return
            if checkpoint is not None:
                checkpoint.save_if_due(self._step, self._state)

    def restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """Restore a checkpoint's state, for the SAEs of the current jobs."""
        self._step = state["step"]
        self._buffer.restore(select_prefix(tensors, "buffer/"), state["buffer"], self._device)
        torch.set_rng_state(tensors["random"])
        self._create_fits()
        for fit in self.fits:
            title = fit.job.title
            fit.restore(select_prefix(tensors, f"{title}/"), state["saes"][title])

    def _create_fits(self) -> None:
        """Create the SAEs, once the buffer knows their input lengths."""
        self.fits = [
            SaeFit(job, self._buffer.lengths[job.hook], self._n_steps, self._seed, self._device) for job in self._jobs
        ]

    def _train_step(self, batch: Block) -> dict[str, Figures]:
        """Train every SAE that has not diverged on a batch; return figures if the curves have a point."""
        figures = {}
        for fit in self.fits:
            if fit.failure is None:
                output = fit.step(batch[fit.job.hook])
                if is_point(self._step, self._n_steps):
                    figures[fit.job.title] = fit.record(output)
        return figures

    def _positions(self) -> int:
        return min(self._step * self._batch_size, self._n_positions)

    def _state(self) -> State:
        """Return the state that determines the next steps."""
        tensors, buffer = self._buffer.state()
        tensors = {f"buffer/{name}": x for name, x in tensors.items()} | {"random": torch.get_rng_state()}
        saes = {}
        for fit in self.fits:
            own, saes[fit.job.title] = fit.state()
            tensors |= {f"{fit.job.title}/{name}": x for name, x in own.items()}
        settings = {job.title: job.settings for job in self._jobs}
        return tensors, {"settings": settings, "step": self._step, "buffer": buffer, "saes": saes}


def _buffer_size(source: ActivationSource, training: SaeTraining) -> int:
    """Return the configured size, limited to the available positions if not set explicitly.

    Raises SaeError if there are too few positions.
    """
    wanted = min(max(training.buffer_size, training.batch_size), training.n_positions)
    available = source.positions(wanted)
    for option in ("batch_size", "buffer_size"):
        size = min(getattr(training, option), training.n_positions)
        if available < size and (option == "batch_size" or option in training.model_fields_set):
            raise SaeError(
                f"the training rows have {available:,} positions, fewer than {option} ({size:,}): "
                "lower it or provide more rows"
            )
    return max(min(wanted, available), training.batch_size)
