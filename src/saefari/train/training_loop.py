"""The training loop: several SAEs from one stream of activations, taken up again where it was killed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from saefari.config import SaeTraining
from saefari.errors import SaeError
from saefari.train.activation_sources import Block, Source
from saefari.train.buffer import ShuffleBuffer
from saefari.train.checkpoint import Checkpoint, State, below
from saefari.train.curves import Figures, is_point
from saefari.train.job import SaeJob
from saefari.train.trainee import Trainee

Watch = Callable[[int, dict[str, Figures]], None]
"""Told after every step: positions trained on by then; by the SAEs' titles, figures where the curves have a point."""


def train_saes(
    source: Source,
    jobs: Sequence[SaeJob],
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    watch: Watch | None = None,
) -> list[Trainee]:
    """Train every SAE from the same batches; one that diverges stops alone, and says so in its `failure`.

    jobs: all of one stream (n_positions, batch_size, buffer_size).
    checkpoint: where the state is kept, and found again.
    watch: also told, first, the positions of a training that is taken up again.
    The result depends on the seed, not on the caller's random state, which is left as it was, nor on interruptions.
    Raises SaeError for settings that cannot work or a source too short for them.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        training = _Training(source, jobs, seed, device)
        if checkpoint is not None and (state := checkpoint.load()) is not None:
            training.restore(*state)
        training.run(checkpoint, watch or (lambda positions, figures: None))
    return training.trainees


class _Training:
    """The SAEs, the buffer that feeds them, and the step they are at."""

    def __init__(self, source: Source, jobs: Sequence[SaeJob], seed: int, device: torch.device) -> None:
        section = jobs[0].training
        self._jobs, self._seed, self._device = jobs, seed, device
        self._batch_size, self._n_positions = section.batch_size, section.n_positions
        self._n_steps = math.ceil(section.n_positions / section.batch_size)
        self._step = 0
        size = _buffer_size(source, section)
        self._buffer = ShuffleBuffer(source, size, section.batch_size, self._n_steps * section.batch_size, seed)
        self.trainees: list[Trainee] = []

    def run(self, checkpoint: Checkpoint | None, watch: Watch) -> None:
        """From the step it is at to the last one, or until every SAE has diverged."""
        watch(self._positions(), {})
        while self._step < self._n_steps:
            batch = self._buffer.draw()
            if not self.trainees:
                self._enrol()
                for trainee in self.trainees:
                    trainee.calibrate(batch[trainee.job.hook])
            self._step += 1
            figures = self._learn(batch)
            watch(self._positions(), figures)
            if all(trainee.failure for trainee in self.trainees):
                return
            if checkpoint is not None:
                checkpoint.save_if_due(self._step, self._state)

    def restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """Go on from the state that a checkpoint holds, with those of its SAEs that are wanted now."""
        self._step = state["step"]
        self._buffer.restore(below(tensors, "buffer/"), state["buffer"], self._device)
        torch.set_rng_state(tensors["random"])
        self._enrol()
        for trainee in self.trainees:
            title = trainee.job.title
            trainee.restore(below(tensors, f"{title}/"), state["saes"][title])

    def _enrol(self) -> None:
        """Give every SAE its random weights, once the buffer knows the length of its inputs."""
        self.trainees = [
            Trainee(job, self._buffer.lengths[job.hook], self._n_steps, self._seed, self._device) for job in self._jobs
        ]

    def _learn(self, batch: Block) -> dict[str, Figures]:
        """One step of every SAE that has not diverged; figures where the curves have a point."""
        figures = {}
        for trainee in self.trainees:
            if trainee.failure is None:
                output = trainee.step(batch[trainee.job.hook])
                if is_point(self._step, self._n_steps):
                    figures[trainee.job.title] = trainee.look(output)
        return figures

    def _positions(self) -> int:
        return min(self._step * self._batch_size, self._n_positions)

    def _state(self) -> State:
        """Everything that the next steps depend on."""
        tensors, buffer = self._buffer.state()
        tensors = {f"buffer/{name}": x for name, x in tensors.items()} | {"random": torch.get_rng_state()}
        saes = {}
        for trainee in self.trainees:
            own, saes[trainee.job.title] = trainee.state()
            tensors |= {f"{trainee.job.title}/{name}": x for name, x in own.items()}
        settings = {job.title: job.settings for job in self._jobs}
        return tensors, {"settings": settings, "step": self._step, "buffer": buffer, "saes": saes}


def _buffer_size(source: Source, training: SaeTraining) -> int:
    """The section's own, or as much as there is where it leaves that open. Raises SaeError for too little."""
    wanted = min(max(training.buffer_size, training.batch_size), training.n_positions)
    available = source.positions(wanted)
    for option in ("batch_size", "buffer_size"):
        size = min(getattr(training, option), training.n_positions)
        if available < size and (option == "batch_size" or option in training.model_fields_set):
            raise SaeError(
                f"the training rows hold {available:,} positions, fewer than {option} ({size:,}): "
                "lower it or give more rows"
            )
    return max(min(wanted, available), training.batch_size)
