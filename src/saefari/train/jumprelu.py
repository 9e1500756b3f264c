"""A JumpReLU SAE with a target L0, based on sae-lens' JumpReLU.

With sae-lens' defaults, about half of the pre-activations of a new SAE exceed its threshold near zero, and a linear
penalty moves the thresholds too slowly to become sparse in a short run.

Shapes: B positions of a batch, d_in the input's length, d_sae latents.
"""

from __future__ import annotations

from typing import Any

import torch
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, Step, calculate_pre_act_loss
from sae_lens.saes.sae import TrainStepInput

BANDWIDTH = 1.0
"""Width of the window in which thresholds get a gradient, in standard deviations of the pre-activations."""
THRESHOLD_LR = 10.0
"""Learning rate of the thresholds relative to the run's, in standard deviations of the pre-activations."""
CALIBRATED_SHARE = 0.4
"""First share of the steps, in which thresholds are recomputed for each batch. Weights start small, and pre-activations
grow severalfold, faster than thresholds could follow by learning."""


class TargetL0JumpReLU(JumpReLUTrainingSAE):  # type: ignore[misc]  # sae-lens is untyped to mypy
    """JumpReLU with the penalty lambda * (L0 / target - 1)^2 on the relative distance of L0 from `cfg.target_l0`.

    This is the form of Rajamanoharan et al., "Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU
    Sparse Autoencoders" (2024), with L0 averaged over the batch, so that single positions may differ; lambda is
    `cfg.l0_coefficient` in units of the input's variance, which makes it independent of scale. It is saved as a plain
    sae-lens jumprelu SAE. Call `calibrate` before each step of the first `CALIBRATED_SHARE`.
    """

    scale: float = 1.0
    """Standard deviation of the pre-activations at the last calibration."""
    variance: float
    """Mean of |x - mean|^2 over the positions of the last calibration."""

    @torch.no_grad()
    def calibrate(self, x: torch.Tensor) -> None:
        """Fit thresholds, bandwidth and penalty to inputs [B, d_in], scaled as in training.

        All thresholds are set to one value at which the mean L0 over `x` is `cfg.target_l0`.
        """
        assert self.cfg.target_l0 is not None
        pre = self.encode_with_hidden_pre(x)[1]
        active = max(1, round(self.cfg.target_l0 * len(x)))
        self.threshold.fill_(pre.flatten().topk(active).values[-1].clamp(min=0))
        self.scale = pre.std().item()
        self.bandwidth = BANDWIDTH * self.scale
        self.variance = (x - x.mean(dim=0)).square().sum(dim=-1).mean().item()

    def calibration(self) -> dict[str, float]:
        """Return the values set by `calibrate`, except the thresholds."""
        return {"scale": self.scale, "variance": self.variance}

    def restore_calibration(self, calibration: dict[str, float]) -> None:
        """Restore the values of `calibration`."""
        self.scale, self.variance = calibration["scale"], calibration["variance"]
        self.bandwidth = BANDWIDTH * self.scale

    def calculate_aux_loss(
        self,
        step_input: TrainStepInput,
        feature_acts: torch.Tensor,
        hidden_pre: torch.Tensor,
        sae_out: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Compute the sparsity penalty, and sae-lens' loss that raises pre-activations [B, d_sae] of dead latents."""
        assert self.cfg.target_l0 is not None
        threshold = self.threshold.to(hidden_pre.dtype)
        active: torch.Tensor = Step.apply(hidden_pre, threshold, self.bandwidth, self.cfg.jumprelu_ste_to_input)
        distance = active.sum(dim=-1).mean() / self.cfg.target_l0 - 1
        losses = {"l0_loss": step_input.coefficients["l0"] * self.variance * distance**2}
        if self.cfg.pre_act_loss_coefficient is not None:
            losses["pre_act_loss"] = calculate_pre_act_loss(
                self.cfg.pre_act_loss_coefficient,
                threshold,
                hidden_pre,
                step_input.dead_neuron_mask,
                self.W_dec.norm(dim=1),
            )
        return losses


def set_threshold_lr(trainer: Any) -> None:
    """Give the thresholds their own learning rate in a sae-lens trainer that has made no step.

    Adam moves a parameter by about its learning rate per step. Weights are of the order of d_in^-1/2; thresholds are of
    the order of the pre-activations and would hardly move in a short run. Their rate is proportional to the scale of
    the last `calibrate`.

    trainer: of a `TargetL0JumpReLU`; its optimizer and learning-rate schedule are replaced.
    """
    cfg, sae = trainer.cfg, trainer.sae
    others = [parameter for parameter in sae.parameters() if parameter is not sae.threshold]
    trainer.optimizer = torch.optim.Adam(
        [{"params": others}, {"params": [sae.threshold]}], lr=cfg.lr, betas=(cfg.adam_beta1, cfg.adam_beta2)
    )

    def decay(step: int) -> float:
        remaining: float = (cfg.total_training_steps - step) / max(cfg.lr_decay_steps, 1)
        return min(1.0, remaining)

    rates = [decay, lambda step: THRESHOLD_LR * sae.scale * decay(step)]
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.optimizer, rates)
