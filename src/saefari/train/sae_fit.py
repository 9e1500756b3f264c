"""One SAE in training: sae-lens' trainer with calibration, resampling and curves, and a state that can be restored."""

from __future__ import annotations

import math
from typing import Any

import torch

from saefari.fingerprint import fingerprint
from saefari.models.norms import without_outliers
from saefari.train.architectures import new_sae
from saefari.train.checkpoint import select_prefix
from saefari.train.curves import Curves, Figures, figures_of
from saefari.train.job import SaeJob
from saefari.train.normalise import is_per_position, normalised
from saefari.train.resampling import Resampler

DECAY_SHARE = 0.2
"""Last share of the steps over which the learning rate falls to zero."""
_WEIGHTS, _OPTIMIZER, _RESAMPLER = "sae/", "optimizer/", "resampler/"
_FIRED = "n_forward_passes_since_fired"


class SaeFit:
    """An SAE in training, from random weights to the final SAE.

    Its random draws depend on the run's seed and its own name, not on the other SAEs trained with it.
    """

    def __init__(self, job: SaeJob, d_in: int, n_steps: int, seed: int, device: torch.device) -> None:
        self.job = job
        self.curves = Curves()
        self.failure: str | None = None
        """Why training failed; None if it did not."""
        own_seed = int(fingerprint([seed, job.layer, job.width])[:8], 16)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(own_seed)
            sae = new_sae(job.training, d_in, job.training.latents(job.width), n_steps, device, job.metadata)
        self.trainer = _trainer(job, sae, n_steps, device)
        self._n_calibrated = 0
        if job.training.target_l0 is not None:
            from saefari.train.jumprelu import CALIBRATED_SHARE, set_threshold_lr

            self._n_calibrated = max(1, int(CALIBRATED_SHARE * n_steps))
            set_threshold_lr(self.trainer)
        self._resampler = None
        if job.training.resample is not None:
            generator = torch.Generator(device).manual_seed(own_seed)
            self._resampler = Resampler(job.training.resample, n_steps, generator)

    def calibrate(self, x: torch.Tensor) -> None:
        """Set the input scale from a first batch [n, d_in]."""
        x = without_outliers(x, self.job.norm_limit)
        if self.job.training.normalize_activations == "expected_average_only_in":
            self.trainer.activation_scaler.scaling_factor = x.shape[1] ** 0.5 / x.norm(dim=-1).mean().item()

    def step(self, x: torch.Tensor) -> Any:
        """Train on a batch [n, d_in] without its outliers; return sae-lens' step output."""
        x = without_outliers(x, self.job.norm_limit)
        x = normalised(x, self.job.training.normalize_activations)
        if self.trainer.n_training_steps < self._n_calibrated:
            self.trainer.sae.calibrate(self.trainer.activation_scaler(x))
        output = self.trainer.step(x)
        self.trainer.n_training_steps += 1
        if self._resampler is not None:
            self._resampler.after_step(self.trainer, output.sae_in)
        return output

    def record(self, output: Any) -> Figures:
        """Add a step's figures to the curves; set `failure` if the SAE has diverged."""
        dead = self.trainer.dead_neurons.float().mean().item()
        figures = figures_of(output, self.trainer.activation_scaler.scaling_factor or 1.0, dead)
        if figures.finite and math.isfinite(output.loss.item()):
            self.curves.add(self.trainer.n_training_samples, figures)
        else:
            self.failure = (
                f"{self.job.title} diverged by step {self.trainer.n_training_steps} "
                f"(loss {output.loss.item()}): lower its lr ({self.job.training.lr:g})"
            )
        return figures

    def finish(self) -> Any:
        """Return the sae-lens SAE with input scale and decoder norms folded into its weights."""
        sae = self.trainer.sae
        if self.trainer.activation_scaler.scaling_factor is not None:
            sae.fold_activation_norm_scaling_factor(self.trainer.activation_scaler.scaling_factor)
        sae.fold_W_dec_norm()
        if is_per_position(self.job.training):
            sae.cfg.normalize_activations = self.job.training.normalize_activations
        return sae

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the state that determines the next steps: tensors and JSON-able values."""
        trainer = self.trainer
        optimizer = trainer.optimizer.state_dict()
        tensors = {_WEIGHTS + name: x.detach().contiguous() for name, x in trainer.sae.state_dict().items()}
        tensors |= {f"{_OPTIMIZER}{i}/{k}": x for i, moments in optimizer["state"].items() for k, x in moments.items()}
        tensors[_FIRED] = getattr(trainer, _FIRED)
        if self._resampler is not None:
            tensors |= {_RESAMPLER + name: x for name, x in self._resampler.state().items()}
        return tensors, {
            "n_training_steps": trainer.n_training_steps,
            "n_training_samples": trainer.n_training_samples,
            "scaling_factor": trainer.activation_scaler.scaling_factor,
            "calibration": trainer.sae.calibration() if self.job.training.target_l0 is not None else None,
            "param_groups": optimizer["param_groups"],
            "lr_scheduler": trainer.lr_scheduler.state_dict(),
            "coefficients": {name: item.state_dict() for name, item in trainer.coefficient_schedulers.items()},
            "curves": self.curves.to_json(),
            "failure": self.failure,
        }

    def restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """Restore a `state` in a new SaeFit of the same job."""
        trainer = self.trainer
        for name in ("n_training_steps", "n_training_samples"):
            setattr(trainer, name, state[name])
        setattr(trainer, _FIRED, tensors[_FIRED].to(trainer.sae.device))
        trainer.activation_scaler.scaling_factor = state["scaling_factor"]
        trainer.sae.load_state_dict(select_prefix(tensors, _WEIGHTS))
        if state["calibration"] is not None:
            trainer.sae.restore_calibration(state["calibration"])
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, x in select_prefix(tensors, _OPTIMIZER).items():
            number, name = key.split("/")
            moments.setdefault(int(number), {})[name] = x
        trainer.optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
        trainer.lr_scheduler.load_state_dict(state["lr_scheduler"])
        for name, scheduler in trainer.coefficient_schedulers.items():
            scheduler.load_state_dict(state["coefficients"][name])
        if self._resampler is not None:
            self._resampler.restore(select_prefix(tensors, _RESAMPLER))
        self.curves = Curves(**state["curves"])
        self.failure = state["failure"]


def _trainer(job: SaeJob, sae: Any, n_steps: int, device: torch.device) -> Any:
    """Create sae-lens' trainer of a new SAE."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    training = job.training
    return SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=n_steps * training.batch_size,
            train_batch_size_samples=training.batch_size,
            lr=training.lr,
            lr_end=training.lr,
            lr_decay_steps=int(DECAY_SHARE * n_steps),
            dead_feature_window=max(10, n_steps // 10),
            device=str(device),
            autocast=device.type == "cuda",
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=iter(()),
    )
