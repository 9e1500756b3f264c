"""Resample the dead latents of a standard SAE from inputs that it reconstructs poorly.

Bricken et al., "Towards Monosemanticity" (2023), appendix "Neuron Resampling", with times as shares of the
training. Shapes: B positions of a batch, d_in the input's length, d_sae latents.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from saefari.config import Resampling

POOL_BATCHES = 8
"""Number of batches before a resampling whose inputs are candidates."""


class Resampler:
    """Resamples the SAE of a sae-lens trainer at regular steps."""

    def __init__(self, resampling: Resampling, n_steps: int, generator: torch.Generator) -> None:
        """Resample until the share `resampling.until` of `n_steps`, with draws from `generator`."""
        self.every = max(2, round(resampling.every * n_steps))
        self.last = int(resampling.until * n_steps)
        self._generator = generator
        self._pool: deque[torch.Tensor] = deque(maxlen=POOL_BATCHES)

    def after_step(self, trainer: Any, batch: torch.Tensor) -> int:
        """Call after every step with the SAE's inputs [B, d_in]. Returns the number of resampled latents.

        A latent is dead if it was not active in the last half of the interval between two resamplings.
        """
        step = trainer.n_training_steps
        if step > self.last:
            return 0
        self._pool.append(batch)
        if step % self.every:
            return 0
        dead = (trainer.n_forward_passes_since_fired >= self.every // 2).nonzero().squeeze(1)
        if len(dead):
            resample(trainer.sae, trainer.optimizer, dead, torch.cat(tuple(self._pool)), self._generator)
            trainer.n_forward_passes_since_fired[dead] = 0
        self._pool.clear()
        return len(dead)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the state that determines the next resamplings, besides the trainer."""
        pool = {f"pool{i}": batch.contiguous() for i, batch in enumerate(self._pool)}
        return {"generator": self._generator.get_state(), **pool}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Restore a `state`."""
        self._generator.set_state(state["generator"])
        self._pool.extend(state[f"pool{i}"].to(self._generator.device) for i in range(len(state) - 1))


@torch.no_grad()
def resample(
    sae: Any,
    optimizer: torch.optim.Optimizer,
    dead: torch.Tensor,
    inputs: torch.Tensor,
    generator: torch.Generator,
) -> None:
    """Set each dead latent to the direction of an input, drawn in proportion to its squared loss.

    sae: a standard training SAE of sae-lens, modified in place, as is the optimizer's state of these latents.
    dead: int64 [n], latents. inputs: [B, d_in], the SAE's inputs. Decoder and encoder of a new latent get the input's
    direction and the mean norm of the living latents; its bias is zero. (The paper scales encoders to a fifth of that
    norm; in runs of a few hundred steps most of those die again.)
    """
    loss = (inputs - sae(inputs)).square().sum(dim=-1)
    chosen = torch.multinomial(loss.square(), len(dead), replacement=len(dead) > len(inputs), generator=generator)
    direction = torch.nn.functional.normalize(inputs[chosen] - sae.b_dec, dim=-1)
    alive = torch.ones(len(sae.b_enc), dtype=torch.bool, device=dead.device)
    alive[dead] = False
    if not alive.any():
        alive[:] = True
    sae.W_dec[dead] = direction * sae.W_dec[alive].norm(dim=1).mean()
    sae.W_enc[:, dead] = direction.T * sae.W_enc[:, alive].norm(dim=0).mean()
    sae.b_enc[dead] = 0
    for parameter, axis in ((sae.W_dec, 0), (sae.W_enc, 1), (sae.b_enc, 0)):
        for moment in ("exp_avg", "exp_avg_sq"):
            optimizer.state[parameter][moment].index_fill_(axis, dead, 0)
