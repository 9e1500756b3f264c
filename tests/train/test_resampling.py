"""Resampling: which latents, when, and to which directions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

from saefari.config import Resampling, SaeTraining
from saefari.train.architectures import new_sae
from saefari.train.resampling import Resampler, resample

D_IN, D_SAE, BATCH = 16, 24, 64


@pytest.fixture
def trainer() -> Any:
    """Build a trainer of a standard SAE whose last eight latents are never active."""
    torch.manual_seed(0)
    sae = new_sae(SaeTraining(architecture="standard"), D_IN, D_SAE, 100, torch.device("cpu"), {})
    sae.b_enc.data[-8:] = -1000
    cfg = SAETrainerConfig(total_training_samples=100 * BATCH, train_batch_size_samples=BATCH, lr=1e-3, lr_end=1e-3)
    return SAETrainer(cfg, sae, iter(()))


def steps(trainer: Any, resampler: Resampler, n: int) -> dict[int, int]:
    """Train on noise; return step -> number of latents resampled after it, if any."""
    found = {}
    for _ in range(n):
        output = trainer.step(torch.randn(BATCH, D_IN))
        trainer.n_training_steps += 1
        if count := resampler.after_step(trainer, output.sae_in):
            found[trainer.n_training_steps] = count
    return found


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_dead_latents_are_resampled_and_then_live(trainer: Any) -> None:
    found = steps(trainer, Resampler(Resampling(every=0.1, until=0.5), 100, generator()), 100)
    assert found[10] == 8
    assert not trainer.sae.b_enc[-8:].lt(-10).any()
    assert trainer.sae.encode(torch.randn(1000, D_IN))[:, -8:].gt(0).any(dim=0).all()


def test_resampling_ends_at_its_last_step(trainer: Any) -> None:
    resampler = Resampler(Resampling(every=0.2, until=0.5), 100, generator())
    for step in range(1, 101):
        trainer.sae.b_enc.data[-8:] = -1000
        assert (steps(trainer, resampler, 1) != {}) == (step in (20, 40))


def test_a_recently_active_latent_is_not_resampled(trainer: Any) -> None:
    before = trainer.sae.W_dec[: D_SAE - 8].clone()
    trainer.optimizer.param_groups[0]["lr"] = 0.0
    trainer.lr_scheduler.step = lambda: None
    steps(trainer, Resampler(Resampling(every=0.1), 100, generator()), 10)
    assert torch.equal(trainer.sae.W_dec[: D_SAE - 8], before)


def test_a_new_latent_has_the_direction_of_a_poorly_reconstructed_input(trainer: Any) -> None:
    sae = trainer.sae
    steps(trainer, Resampler(Resampling(every=0.5), 100, generator()), 3)
    inputs = torch.randn(200, D_IN)
    inputs[17] *= 100
    dead = torch.tensor([20, 23])
    alive = [latent for latent in range(D_SAE) if latent not in dead]
    resample(sae, trainer.optimizer, dead[:1], inputs, generator())
    resample(sae, trainer.optimizer, dead[1:], inputs, generator())
    direction = torch.nn.functional.normalize(inputs[17] - sae.b_dec, dim=0)
    for latent in dead:
        assert torch.cosine_similarity(sae.W_dec[latent], direction, dim=0).item() == pytest.approx(1, abs=1e-4)
        assert torch.cosine_similarity(sae.W_enc[:, latent], direction, dim=0).item() == pytest.approx(1, abs=1e-4)
        assert sae.b_enc[latent] == 0
    for norms in (sae.W_dec.detach().norm(dim=1), sae.W_enc.detach().norm(dim=0)):
        assert norms[dead].numpy() == pytest.approx(norms[alive].mean().item(), rel=0.1)


def test_inputs_are_drawn_in_proportion_to_their_squared_loss(trainer: Any) -> None:
    """Two inputs of which nothing is reconstructed, with losses of 1 and 2: the second in four of five draws."""
    sae = trainer.sae
    steps(trainer, Resampler(Resampling(every=0.5), 100, generator()), 1)
    inputs = torch.zeros(2, D_IN)
    inputs[0, 3], inputs[1, 5] = 1, 2**0.5
    second, draws = 0, generator()
    for _ in range(200):
        sae.b_enc.data[:], sae.b_dec.data[:] = -1000, 0
        resample(sae, trainer.optimizer, torch.arange(D_SAE), inputs, draws)
        second += int((sae.W_dec[:, 5] > sae.W_dec[:, 3]).sum())
    assert second / (200 * D_SAE) == pytest.approx(0.8, abs=0.03)  # five standard deviations


def test_the_optimizer_state_is_reset_for_resampled_latents_only(trainer: Any) -> None:
    steps(trainer, Resampler(Resampling(every=0.5), 100, generator()), 3)
    dead = torch.tensor([0, 5])
    resample(trainer.sae, trainer.optimizer, dead, torch.randn(50, D_IN), generator())
    for parameter, axis in ((trainer.sae.W_dec, 0), (trainer.sae.W_enc, 1), (trainer.sae.b_enc, 0)):
        for moment in ("exp_avg", "exp_avg_sq"):
            state = trainer.optimizer.state[parameter][moment]
            assert not state.index_select(axis, dead).any()
            assert state.index_select(axis, torch.tensor([1, 6])).any()


def test_more_dead_latents_than_inputs(trainer: Any) -> None:
    steps(trainer, Resampler(Resampling(every=0.5), 100, generator()), 1)
    resample(trainer.sae, trainer.optimizer, torch.arange(D_SAE), torch.randn(5, D_IN), generator())
    assert trainer.sae.W_dec.isfinite().all()


def test_the_callers_random_state_is_preserved(trainer: Any) -> None:
    steps(trainer, Resampler(Resampling(every=0.5), 100, generator()), 1)
    inputs = torch.randn(50, D_IN)
    state = torch.get_rng_state()
    resample(trainer.sae, trainer.optimizer, torch.tensor([1]), inputs, generator())
    assert torch.equal(torch.get_rng_state(), state)
