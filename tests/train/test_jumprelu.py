"""JumpReLU with a target L0."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sae_lens import SAE
from sae_lens.saes.sae import TrainStepInput

from saefari.config import SaeTraining
from saefari.train.activation_sources import ModelActivations
from saefari.train.architectures import new_sae
from saefari.train.job import SaeJob
from saefari.train.jumprelu import TargetL0JumpReLU
from saefari.train.sae_fit import SaeFit
from saefari.train.save import save_trained
from saefari.train.training_loop import train_saes


def calibrated(scale: float, target: float = 4) -> tuple[TargetL0JumpReLU, torch.Tensor]:
    """Build a new SAE of 64 latents, and the inputs [512, 32] that it is calibrated on."""
    torch.manual_seed(0)
    x = scale * torch.randn(512, 32)
    training = SaeTraining(architecture="jumprelu", target_l0=target)
    sae = new_sae(training, 32, 64, 100, torch.device("cpu"), {})
    sae.calibrate(x)
    return sae, x


def penalty(sae: TargetL0JumpReLU, x: torch.Tensor) -> torch.Tensor:
    """Compute the sparsity penalty with coefficient 1."""
    step = TrainStepInput(x, {"l0": 1.0}, torch.zeros(64, dtype=torch.bool), 0, False)
    return sae.training_forward_pass(step).losses["l0_loss"]


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_it_starts_at_the_target_at_any_scale(scale: float) -> None:
    sae, x = calibrated(scale)
    assert sae.encode(x).gt(0).sum(dim=1).float().mean() == pytest.approx(4, rel=0.01)
    one, _ = calibrated(1.0)
    assert sae.bandwidth == pytest.approx(scale * one.bandwidth, rel=1e-3)
    assert sae.variance == pytest.approx(scale**2 * one.variance, rel=1e-3)


def test_the_penalty_is_the_relative_distance_of_the_mean_l0() -> None:
    sae, x = calibrated(1.0)
    assert penalty(sae, x).item() == pytest.approx(0, abs=1e-3 * sae.variance)
    sae.threshold.data[:] = 0
    l0 = sae.encode(x).gt(0).sum(dim=1).float().mean().item()
    assert l0 == pytest.approx(32, rel=0.1)
    assert penalty(sae, x).item() == pytest.approx(sae.variance * (l0 / 4 - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize(("factor", "sign"), [(0.8, -1), (1.2, 1)])
def test_the_gradient_points_to_the_target(factor: float, sign: int) -> None:
    sae, x = calibrated(1.0)
    sae.threshold.data *= factor
    penalty(sae, x).backward()
    assert sae.threshold.grad is not None
    assert sae.threshold.grad.sum().sign() == sign  # gradient descent raises thresholds that are too low


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_thresholds_learn_at_the_scale_of_the_pre_activations(
    make_job: Callable[..., SaeJob], tmp_path: Path, scale: float
) -> None:
    job = make_job(tmp_path, architecture="jumprelu", target_l0=4, normalize_activations="none")
    trainee = SaeFit(job, 32, 100, 0, torch.device("cpu"))
    torch.manual_seed(0)
    for _ in range(3):
        trainee.step(scale * torch.randn(256, 32))
    sae, groups = trainee.trainer.sae, trainee.trainer.optimizer.param_groups
    assert groups[1]["params"] == [sae.threshold]
    assert groups[0]["lr"] == pytest.approx(job.training.lr)
    assert groups[1]["lr"] == pytest.approx(10 * sae.scale * job.training.lr)
    assert sae.scale == pytest.approx(scale * calibrated(1.0)[0].scale, rel=0.5)


@pytest.mark.parametrize("target", [3, 8])
def test_training_reaches_the_target(
    source: Callable[..., ModelActivations], make_job: Callable[..., SaeJob], tmp_path: Path, target: int
) -> None:
    job = make_job(tmp_path, architecture="jumprelu", target_l0=target, n_positions=60_000)
    (fit,) = train_saes(source(), [job], 0, torch.device("cpu"))
    save_trained(fit, [block[job.hook] for block in source().held_out()])
    quality: dict[str, Any] = json.loads((job.folder / "quality.json").read_text())
    assert quality["l0"] == pytest.approx(target, rel=0.15)
    sae = SAE.load_from_disk(str(job.folder))
    assert sae.cfg.architecture() == "jumprelu"
    assert set(sae.state_dict()) == {"W_enc", "b_enc", "W_dec", "b_dec", "threshold"}
