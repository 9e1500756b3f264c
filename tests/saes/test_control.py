"""The random control: as active as the trained SAE, with unrelated directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saefari.errors import SaeError
from saefari.saes.control import random_control, random_directions
from saefari.saes.encode import encode
from saefari.saes.load import LoadedSae


@pytest.fixture
def sample() -> torch.Tensor:
    """Positions with a mean, and most of the variance in a few directions."""
    generator = torch.Generator().manual_seed(5)
    mixing = torch.randn(12, 12, generator=generator) * torch.logspace(0.5, -1, 12)[:, None]
    return torch.randn(500, 12, generator=generator) @ mixing + 0.5


def test_each_latent_is_as_active_as_the_trained_one(any_sae: LoadedSae, sample: torch.Tensor) -> None:
    control = random_control(any_sae, sample, seed=0)
    trained, random = encode(any_sae, sample), encode(control, sample)
    if any_sae.architecture == "topk":
        assert (np.diff(random.indptr) <= 5).all()
        return
    counts = [np.bincount(codes.indices, minlength=any_sae.d_sae) for codes in (trained, random)]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert len(random.indices) == pytest.approx(len(trained.indices), rel=0.01)


def test_norms_and_decoder_bias_are_kept_but_not_directions(any_sae: LoadedSae, sample: torch.Tensor) -> None:
    control = random_control(any_sae, sample, seed=0).sae
    torch.testing.assert_close(control.W_dec.norm(dim=1), any_sae.sae.W_dec.norm(dim=1))
    torch.testing.assert_close(control.W_enc.norm(dim=0), any_sae.sae.W_enc.norm(dim=0))
    assert torch.equal(control.b_dec, any_sae.sae.b_dec)
    alike = torch.nn.functional.cosine_similarity(control.W_dec, any_sae.sae.W_dec)
    assert alike.mean().abs() < 0.2


def test_directions_without_calibration_are_those_of_the_control(any_sae: LoadedSae, sample: torch.Tensor) -> None:
    control, directions = random_control(any_sae, sample, seed=4).sae, random_directions(any_sae, seed=4).sae
    assert torch.equal(directions.W_dec, control.W_dec)
    assert torch.equal(directions.W_enc, control.W_enc)


def test_control_depends_on_the_seed_only(any_sae: LoadedSae, sample: torch.Tensor) -> None:
    before = any_sae.weights_sha256
    first = random_control(any_sae, sample, seed=3)
    torch.rand(5)
    assert random_control(any_sae, sample, seed=3).weights_sha256 == first.weights_sha256
    assert random_control(any_sae, sample, seed=4).weights_sha256 != first.weights_sha256
    any_sae.__dict__.pop("weights_sha256")
    assert any_sae.weights_sha256 == before


def test_global_random_state_is_preserved(any_sae: LoadedSae, sample: torch.Tensor) -> None:
    state = torch.get_rng_state()
    random_control(any_sae, sample, seed=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_empty_sample_is_refused(any_sae: LoadedSae) -> None:
    with pytest.raises(SaeError, match="training positions"):
        random_control(any_sae, torch.zeros(0, 12), seed=0)
