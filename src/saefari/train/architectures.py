"""Build sae-lens' training SAE of each architecture from a training section of conf.yaml."""

from __future__ import annotations

from typing import Any

import torch

from saefari.config import SaeTraining
from saefari.train.normalise import is_per_position

WARM_UP_SHARE = 0.1
"""First share of the steps, over which the sparsity penalty rises to its coefficient."""
PRE_ACT_LOSS = 0.01
"""Coefficient of the loss that raises the pre-activations of dead latents towards their threshold (jumprelu)."""


def new_sae(
    training: SaeTraining, d_in: int, d_sae: int, n_steps: int, device: torch.device, metadata: dict[str, Any]
) -> Any:
    """Create a sae-lens training SAE; draws its weights from torch's global generator.

    metadata: stored with the SAE by sae-lens.
    """
    from sae_lens.registry import get_sae_training_class
    from sae_lens.saes.sae import SAEMetadata

    sae_class, config_class = get_sae_training_class(training.architecture)
    if training.target_l0 is not None:
        from saefari.train.jumprelu import TargetL0JumpReLU

        sae_class = TargetL0JumpReLU
    return sae_class(
        config_class(
            d_in=d_in,
            d_sae=d_sae,
            device=str(device),
            normalize_activations="none" if is_per_position(training) else training.normalize_activations,
            metadata=SAEMetadata(**metadata),
            **_options(training, d_sae, n_steps),
        )
    )


def _options(training: SaeTraining, d_sae: int, n_steps: int) -> dict[str, Any]:
    """Return the architecture-specific fields of sae-lens' training configuration."""
    warm_up = int(WARM_UP_SHARE * n_steps)
    # sae-lens' threshold is a moving average that starts at zero; raise its rate for short runs.
    batch_topk = {"k": training.k, "topk_threshold_lr": min(1.0, max(0.01, 20 / n_steps))}
    if training.architecture == "topk":
        return {"k": training.k}
    if training.architecture == "batchtopk":
        return batch_topk
    if training.architecture == "matryoshka_batchtopk":
        return {**batch_topk, "matryoshka_widths": training.nested_widths(d_sae)}
    if training.architecture in ("standard", "gated"):
        return {"l1_coefficient": training.l1_coefficient, "l1_warm_up_steps": warm_up}
    if training.target_l0 is None:
        return {"l0_coefficient": training.l0_coefficient, "l0_warm_up_steps": warm_up}
    # No warm-up, since training starts at the target L0.
    return {
        "l0_coefficient": training.l0_coefficient,
        "target_l0": training.target_l0,
        "pre_act_loss_coefficient": PRE_ACT_LOSS,
    }
