"""A JumpReLU SAE that reaches the sparsity it is asked for, on top of sae-lens' own.

With sae-lens' defaults the pre-activations of a fresh SAE lie about a threshold near zero, half of them above it, and a
linear penalty moves the thresholds too slowly for a short run to become sparse.

Shapes: B positions of a batch, d_in the input's length, d_sae latents.
"""

from __future__ import annotations

from typing import Any

import torch
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, Step, calculate_pre_act_loss
from sae_lens.saes.sae import TrainStepInput

BANDWIDTH = 1.0
"""Width of the window in which the threshold gets a gradient, in standard deviations of the pre-activations."""
THRESHOLD_LR = 10.0
"""Learning rate of the thresholds, as a multiple of the run's, in standard deviations of the pre-activations."""
CALIBRATED_SHARE = 0.4
"""First share of the steps in which the thresholds are set anew for each batch. The weights begin small, so that they
learn fast, and the pre-activations grow with them several times over: faster than thresholds could learn to follow."""


class TargetL0JumpReLU(JumpReLUTrainingSAE):  # type: ignore[misc]  # sae-lens is untyped to mypy
    """JumpReLU whose penalty is the relative distance of L0 from `cfg.target_l0`, lambda * (L0 / target - 1)^2.

    That is the form of Rajamanoharan et al., "Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU
    Sparse Autoencoders" (2024), with L0 the batch's mean, so that positions may differ in theirs; lambda is
    `cfg.l0_coefficient` in units of the input's variance, so that it weighs alike at any scale. Saved, it is a
    plain jumprelu SAE of sae-lens. Call `calibrate` before each step of the first `CALIBRATED_SHARE`.
    """

    scale: float = 1.0
    """Standard deviation of the pre-activations when it was last calibrated."""
    variance: float
    """Mean of |x - mean|^2 over the positions it was last calibrated on."""

    @torch.no_grad()
    def calibrate(self, x: torch.Tensor) -> None:
        """Fit thresholds, bandwidth and penalty to inputs [B, d_in], scaled as they are in training.

        All thresholds start equal, where the mean L0 over `x` is `cfg.target_l0`.
        """
        assert self.cfg.target_l0 is not None
        pre = self.encode_with_hidden_pre(x)[1]
        active = max(1, round(self.cfg.target_l0 * len(x)))
        self.threshold.fill_(pre.flatten().topk(active).values[-1].clamp(min=0))
        self.scale = pre.std().item()
        self.bandwidth = BANDWIDTH * self.scale
        self.variance = (x - x.mean(dim=0)).square().sum(dim=-1).mean().item()

    def calibration(self) -> dict[str, float]:
        """What `calibrate` settled beside the thresholds."""
        return {"scale": self.scale, "variance": self.variance}

    def restore_calibration(self, calibration: dict[str, float]) -> None:
        """Take over what `calibration` gave."""
        self.scale, self.variance = calibration["scale"], calibration["variance"]
        self.bandwidth = BANDWIDTH * self.scale

    def calculate_aux_loss(
        self,
        step_input: TrainStepInput,
        feature_acts: torch.Tensor,
        hidden_pre: torch.Tensor,
        sae_out: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The sparsity penalty, and sae-lens' loss that raises the pre-activations [B, d_sae] of dead latents."""
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


def quicken_thresholds(trainer: Any) -> None:
    """Give the thresholds their own learning rate, in one of sae-lens' trainers that has made no step.

    Adam moves a parameter by about its learning rate at each step. Weights are small numbers, of the order of
    d_in^-1/2; thresholds are of the order of the pre-activations, and would hardly move in a short run. Their rate
    follows the scale that `calibrate` saw last.

    trainer: of a `TargetL0JumpReLU`; its optimizer and its schedule are replaced.
    """
    cfg, sae = trainer.cfg, trainer.sae
    others = [parameter for parameter in sae.parameters() if parameter is not sae.threshold]
    trainer.optimizer = torch.optim.Adam(
        [{"params": others}, {"params": [sae.threshold]}], lr=cfg.lr, betas=(cfg.adam_beta1, cfg.adam_beta2)
    )

    def decay(step: int) -> float:
        left: float = (cfg.total_training_steps - step) / max(cfg.lr_decay_steps, 1)
        return min(1.0, left)

    rates = [decay, lambda step: THRESHOLD_LR * sae.scale * decay(step)]
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.optimizer, rates)
