"""Gradient ascent on images, for an SAE whose first latent reads the brightness of patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saefari.interp.synthesis.ascent import ascend
from saefari.interp.synthesis.files import is_grey, write_images
from saefari.interp.synthesis.objective import Units, Weights, measure, objective
from saefari.interp.synthesis.subject import Subject
from saefari.models.vision_model import VisionModel, VisionReader
from saefari.saes.load import load_sae
from saefari.saes.ref import SaeRef
from saefari.store.synthesised_images import read_synthesised_image, synthesised_image_path
from tests.interp.explainers.pictures import picture
from tests.tiny_vision import save_vit, tinted

BRIGHTNESS = 0
STEPS = 60


@pytest.fixture(scope="module", params=["standard", "jumprelu", "topk", "gated"])
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, save_sae: Callable[..., Any]
) -> Subject:
    """A tiny ViT that sees the mean brightness of patches, and an SAE.

    Latent 0 reads the difference of the hidden states of white and black images.
    """
    folder = tmp_path_factory.mktemp(request.param)
    vit = str(save_vit(folder / "vit", "vit"))
    more = {"k": 8} if request.param == "topk" else {}
    save_sae(folder / "sae", "blocks.1.hook_resid_post", 24, 48, request.param, **more)
    loaded = load_sae(SaeRef(layer=1, width="48", path=str(folder / "sae")))
    model = VisionModel.load(vit, device="cpu")
    projection = model.model.embeddings.patch_embeddings.projection.weight.data
    projection.copy_(projection.mean((1, 2, 3), keepdim=True).expand_as(projection))
    made = Subject(VisionReader.load(vit), model, loaded)
    with torch.no_grad():
        black, white = (made.hidden(torch.full((1, *made.shape), value)).mean((0, 1)) for value in (0.0, 1.0))
        direction = white - black
        loaded.sae.W_enc[:, BRIGHTNESS] = direction / direction.norm()
    return made


def real_images(subject: Subject) -> torch.Tensor:
    """Colour noise with a tint, as in a dataset."""
    _, height, width = subject.shape
    images = [tinted(i, ["blue", "red"][i % 2]).resize((width, height)) for i in range(20)]
    return torch.stack([torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) for image in images]) / 255


def reached(subject: Subject, image: torch.Tensor, latent: int) -> tuple[float, float]:
    own, others = measure(subject, image[None] / 255, [latent])
    return float(own), float(others)


def test_the_image_activates_the_latent_more_than_real_ones_and_the_start(subject: Subject) -> None:
    images = real_images(subject)
    strongest = float(measure(subject, images, [BRIGHTNESS] * len(images))[0].max())
    start, made = (ascend(subject, [BRIGHTNESS], [strongest or 1.0], 0, steps=n)[0] for n in (0, STEPS))
    assert reached(subject, made, BRIGHTNESS)[0] > strongest
    assert reached(subject, made, BRIGHTNESS)[0] > reached(subject, start, BRIGHTNESS)[0]
    patches = made.float().mean(0).unfold(0, 8, 8).unfold(1, 8, 8).mean((2, 3)).flatten()
    strongest_patch = subject.activations(subject.hidden(made[None] / 255))[0, :, BRIGHTNESS].argmax()
    assert patches[strongest_patch] > 220  # of 255; the start has 127


def test_other_latents_are_lower_than_without_the_penalty(subject: Subject) -> None:
    latents = [BRIGHTNESS, 3, 7]
    with_penalty, without = (
        ascend(subject, latents, [1.0] * 3, 0, Weights(others=others), STEPS) for others in (0.5, 0.0)
    )
    for i, latent in enumerate(latents):
        assert reached(subject, with_penalty[i], latent)[1] < reached(subject, without[i], latent)[1]


def test_images_are_deterministic_and_do_not_depend_on_the_batch(subject: Subject) -> None:
    one, again, other_seed = (ascend(subject, [BRIGHTNESS], [1.0], seed, steps=10) for seed in (0, 0, 1))
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert not torch.equal(one, other_seed)
    of_batch = ascend(subject, [5, BRIGHTNESS], [1.0, 1.0], 0, steps=10)[1]
    torch.testing.assert_close(of_batch, one[0], rtol=0, atol=2)


@pytest.mark.parametrize("subject", ["standard"], indirect=True)
def test_the_gradient_equals_finite_differences(subject: Subject) -> None:
    """Of the whole objective; ReLU is continuous, unlike JumpReLU and TopK."""
    images = real_images(subject)[:1]
    step = 2e-3

    def value(of: torch.Tensor) -> torch.Tensor:
        return objective(subject, of, [BRIGHTNESS], Units(torch.ones(1), 10.0), Weights(2.0, 0.3, 0.1))

    wanted = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(wanted).sum(), [wanted])
    for place in gradient.abs().flatten().argsort(descending=True)[:5].tolist():
        change = torch.zeros(images.numel())
        change[place] = step
        moved = change.view_as(images)
        with torch.no_grad():
            slope = float(value(images + moved) - value(images - moved)) / (2 * step)
        assert slope == pytest.approx(float(gradient.flatten()[place]), rel=0.03)


def test_grey_images_have_no_colour(subject: Subject) -> None:
    made = ascend(subject, [BRIGHTNESS], [1.0], 0, steps=10, grey=True)[0]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])
    assert made.float().std() > 5


def test_colour_is_found_in_lossless_and_lossy_images() -> None:
    grey = picture(0, [0])
    assert grey.image is not None
    for kind in ("PNG", "JPEG"):
        for colour, wanted in (((90, 90, 90), True), ((200, 30, 30), False)):
            buffer = BytesIO()
            Image.new("RGB", (12, 12), colour).save(buffer, kind)
            other = replace(grey, image=replace(grey.image, png=buffer.getvalue()))
            assert is_grey([grey, other]) == wanted


def test_files_hold_what_the_figures_are_about(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The activation is that of the stored pixels, as the model reads them."""
    monkeypatch.setattr("saefari.interp.synthesis.files._MOST_CODES", 2 * subject.n_positions * subject.d_sae)
    found = dict(write_images(subject, tmp_path, {0: 1.0, 4: 2.0, 9: 3.0}, "inputs", 0))
    assert sorted(found) == [0, 4, 9]
    for latent, figures in found.items():
        png = synthesised_image_path(tmp_path, latent).read_bytes()
        with Image.open(BytesIO(png)) as opened:
            pixels = torch.from_numpy(np.asarray(opened).copy()).permute(2, 0, 1)
        assert tuple(pixels.shape) == subject.shape
        assert reached(subject, pixels, latent) == pytest.approx(
            (figures["activation"], figures["others_mean"]), rel=1e-3
        )
        assert read_synthesised_image(tmp_path, latent) is None  # without the latent's file
