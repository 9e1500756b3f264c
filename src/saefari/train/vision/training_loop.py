"""The training loop. A step's random draws depend only on the seed and its number, so it can be resumed anywhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saefari.config import VisionTraining
from saefari.errors import ModelError
from saefari.models.alexnet_preprocessing import pixel_values
from saefari.models.alexnet_transformer import AlexNetTransformerForImageClassification
from saefari.train.checkpoint import Checkpoint, State, select_prefix
from saefari.train.vision.augment import augment
from saefari.train.vision.division import UNKNOWN, Division, Part

_WARM_UP = 0.05
_MAX_GRADIENT_NORM = 1.0
_WEIGHTS, _BEST, _OPTIMIZER = "weights/", "best/", "optimizer/"
_ORDER, _DRAWS = 0, 1
"""Seed components of the image order and of a step's draws."""
OnStep = Callable[[int, str], None]
"""Called after every step with its number and the last epoch's figures as text."""


@dataclass
class Curves:
    """Figures after each epoch: cross-entropy in nats on augmented training images and on validation images, validation
    accuracy, and seconds since the start."""

    training_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int | None:
        """0-based epoch of the highest accuracy, ties broken by the lowest loss; None before the first."""
        scores = list(zip(self.validation_accuracy, (-loss for loss in self.validation_loss), strict=True))
        return max(range(len(scores)), key=scores.__getitem__) if scores else None

    def as_text(self) -> str:
        """Format the last epoch's figures."""
        if not self.seconds:
            return ""
        return f"loss {self.training_loss[-1]:.3g}, validation {self.validation_accuracy[-1]:.1%}"


class Fit:
    """A model in training, with its current and its best weights."""

    def __init__(
        self,
        model: AlexNetTransformerForImageClassification,
        data: Division,
        training: VisionTraining,
        seed: int,
        settings: dict[str, Any],
    ) -> None:
        """settings: stored in the checkpoint, to check that it belongs to this training."""
        self.model, self.curves = model, Curves()
        self._data, self._training, self._seed, self._settings = data, training, seed, settings
        self._per_epoch = math.ceil(len(data.train) / training.batch_size)
        self.n_steps = training.epochs * self._per_epoch
        self._step, self._loss, self._seconds = 0, 0.0, 0.0
        self._best: dict[str, Tensor] = {}
        self._shuffled: tuple[int, np.ndarray] | None = None
        self._optimizer = _optimizer(model, training.weight_decay)

    def run(self, checkpoint: Checkpoint, on_step: OnStep) -> dict[str, Tensor]:
        """Train to the end, resuming from a checkpoint if there is one. Returns the weights of the best epoch.

        Sets torch's random state. Raises ModelError if the loss is not finite.
        """
        if (state := checkpoint.load()) is not None:
            self._restore(*state)
        started = time.monotonic() - self._seconds
        while self._step < self.n_steps and not self._stops_early():
            self._train_step()
            self._seconds = time.monotonic() - started
            if self._step % self._per_epoch == 0:
                self._end_epoch()
            on_step(self._step, self.curves.as_text())
            checkpoint.save_if_due(self._step, self._state)
        return self._best

    def _train_step(self) -> None:
        """Train on one batch."""
        epoch, number = divmod(self._step, self._per_epoch)
        size = self._training.batch_size
        chosen = np.sort(self._order(epoch)[number * size : (number + 1) * size])
        images, targets = _batch(self._data.train, chosen)
        draws = np.random.default_rng([self._seed, _DRAWS, self._step])
        torch.manual_seed(int(draws.integers(2**63)))  # for dropout
        for group in self._optimizer.param_groups:
            group["lr"] = self._training.learning_rate * _lr_factor(self._step / self.n_steps)
        device = self.model.device
        pixels = augment(pixel_values(images.to(device)), self._training, draws)
        self.model.train()
        loss = self.model(pixels, labels=targets.to(device)).loss
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRADIENT_NORM)
        self._optimizer.step()
        self._step += 1
        self._loss += loss.item()
        self._check(self._loss)

    def _end_epoch(self) -> None:
        """Measure on the validation images; keep the weights if they are the best so far."""
        accuracy, loss = measure(self.model, self._data.validation, 4 * self._training.batch_size)
        self._check(loss)
        self.curves.training_loss.append(self._loss / self._per_epoch)
        self.curves.validation_loss.append(loss)
        self.curves.validation_accuracy.append(accuracy)
        self.curves.seconds.append(round(self._seconds, 1))
        self._loss = 0.0
        if self.curves.best_epoch == len(self.curves.seconds) - 1:
            self._best = {name: x.detach().cpu().clone() for name, x in self.model.state_dict().items()}

    def _order(self, epoch: int) -> np.ndarray:
        """Return the order of the training images in an epoch."""
        if self._shuffled is None or self._shuffled[0] != epoch:
            generator = np.random.default_rng([self._seed, _ORDER, epoch])
            self._shuffled = epoch, generator.permutation(len(self._data.train))
        return self._shuffled[1]

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ModelError(
                f"{self._training.name} diverged at step {self._step:,} of {self.n_steps:,}: "
                f"lower vision_training.learning_rate ({self._training.learning_rate:g})"
            )

    def _stops_early(self) -> bool:
        """Return whether `patience` epochs have passed since the best one."""
        best, patience = self.curves.best_epoch, self._training.patience
        return best is not None and patience is not None and len(self.curves.seconds) - 1 - best >= patience

    def _state(self) -> State:
        """Return the state that determines the next steps."""
        optimizer = self._optimizer.state_dict()
        tensors = {_WEIGHTS + name: x.detach().contiguous() for name, x in self.model.state_dict().items()}
        tensors |= {_BEST + name: x for name, x in self._best.items()}
        tensors |= {f"{_OPTIMIZER}{i}/{k}": x for i, moments in optimizer["state"].items() for k, x in moments.items()}
        progress = {"step": self._step, "loss": self._loss, "seconds": self._seconds, "curves": asdict(self.curves)}
        return tensors, {"settings": self._settings, **progress}

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Restore a `_state`."""
        self.model.load_state_dict(select_prefix(tensors, _WEIGHTS))
        self._best = select_prefix(tensors, _BEST)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, x in select_prefix(tensors, _OPTIMIZER).items():
            parameter, kind = name.split("/")
            moments.setdefault(int(parameter), {})[kind] = x
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self._step, self._loss, self._seconds = state["step"], state["loss"], state["seconds"]
        self.curves = Curves(**state["curves"])


@torch.no_grad()
def measure(model: AlexNetTransformerForImageClassification, part: Part, batch_size: int) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy in nats on unaugmented images; unknown classes count for accuracy only.

    The loss is 0 if every class is unknown.
    """
    model.train(False)
    hits, loss, known = 0, 0.0, 0
    for start in range(0, len(part), batch_size):
        images, targets = _batch(part, np.arange(start, min(start + batch_size, len(part))))
        logits = model(pixel_values(images.to(model.device))).logits.float().cpu()
        hits += int((logits.argmax(dim=1) == targets).sum())
        loss += nn.functional.cross_entropy(logits, targets, ignore_index=UNKNOWN, reduction="sum").item()
        known += int((targets != UNKNOWN).sum())
    return hits / max(len(part), 1), loss / max(known, 1)


def _optimizer(model: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """Create AdamW with weight decay on matrices and kernels only, not on biases, norms and positions."""
    named = list(model.named_parameters())
    decaying = [x for name, x in named if x.ndim > 1 and "positions" not in name]
    others = [x for name, x in named if x.ndim <= 1 or "positions" in name]
    return torch.optim.AdamW(
        [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0}]
    )


def _lr_factor(progress: float) -> float:
    """Return the learning-rate factor: linear warm-up, then cosine decay; progress: 0 to 1."""
    if progress < _WARM_UP:
        return (progress + 1e-3) / (_WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))


def _batch(part: Part, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return views, uint8 [B, S, S, 3], and classes, int64 [B], of the chosen images of a part."""
    return torch.from_numpy(part.views[part.rows[chosen]]), torch.from_numpy(part.targets[chosen])
