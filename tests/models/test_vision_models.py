"""Vision transformers: hidden states, positions and views, against Hugging Face's forward pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from saefari.errors import ModelError
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.vision_model import VisionModel, VisionReader
from tests.tiny_vision import VITS, image_processor, picture, save_vit, tower_config

BEFORE = {"siglip": 0, "deit": 2, "deit-distilled": 2, "dinov2-registers": 4, "dinov3": 3}
"""Positions before the patches, from each architecture's paper; others have one."""
HOOKS = [HookPoint(layer, "resid_post") for layer in range(3)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders: dict[str, Path] = {}

    def save(kind: str) -> Path:
        if kind not in folders:
            folders[kind] = save_vit(tmp_path_factory.mktemp("vits") / kind, kind)
        return folders[kind]

    return save


def reference(folder: Path, image: Image.Image) -> list[torch.Tensor]:
    """Return hidden_states [T, d] of one image, preprocessed and computed by Hugging Face."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    model = getattr(model, "vision_model", model)
    processor: Any = transformers.AutoImageProcessor
    pixels = processor.from_pretrained(folder, backend="pil")([image], return_tensors="pt")
    with torch.no_grad():
        return [states[0] for states in model(**pixels, output_hidden_states=True).hidden_states]


@pytest.mark.parametrize("kind", VITS)
def test_hidden_states_are_those_of_hugging_face(kind: str, saved: Callable[[str], Path]) -> None:
    folder, image = saved(kind), picture(50, 40)
    expected = reference(folder, image)
    model = VisionModel.load(str(folder), device="cpu")
    reading = VisionReader.load(str(folder), positions="all").read(image)
    assert reading.length == len(expected[0])
    found = model.capture([reading.model_input], HOOKS)
    for layer in range(2):  # in some architectures the last entry is after the final norm
        torch.testing.assert_close(found[HOOKS[layer]][0], expected[layer + 1])
        assert not torch.allclose(found[HOOKS[layer]][0], expected[layer], atol=1e-3)


@pytest.mark.parametrize("kind", VITS)
def test_valid_positions(kind: str, saved: Callable[[str], Path]) -> None:
    before, name = BEFORE.get(kind, 1), str(saved(kind))
    patches = VisionReader.load(name).read(picture(50, 40))
    assert patches.valid.tolist() == list(range(before, before + 16))
    assert (patches.grid, patches.patch.tolist()) == ((4, 4), list(range(16)))
    everything = VisionReader.load(name, positions="all").read(picture(50, 40))
    assert everything.valid.tolist() == list(range(before + 16))
    assert everything.patch.tolist() == [-1] * before + list(range(16))
    if before:
        one = VisionReader.load(name, positions="cls").read(picture(50, 40))
        assert (one.valid.tolist(), one.patch.tolist()) == ([0], [-1])
    else:
        with pytest.raises(ModelError, match="use patches or all"):
            VisionReader.load(name, positions="cls")


@pytest.mark.parametrize("kind", ["vit", "clip", "dinov2"])
def test_a_changed_square_changes_only_its_patch(kind: str, saved: Callable[[str], Path]) -> None:
    """If one 8 x 8 square changes, only its patch's position changes before attention."""
    folder = saved(kind)
    model, reader = VisionModel.load(str(folder), device="cpu"), VisionReader.load(str(folder))
    image = picture(32, 32)
    changed = image.copy()
    changed.paste(Image.new("RGB", (8, 8), "red"), (16, 8))  # row 1, column 2 of the grid
    hook = HookPoint(0, "resid_pre")
    states = [model.capture([reader.read(one).model_input], [hook])[hook][0] for one in (image, changed)]
    differs = (states[0] - states[1]).abs().amax(1) > 1e-6
    reading = reader.read(image)
    assert reading.patch[np.isin(reading.valid, np.flatnonzero(differs.numpy()))].tolist() == [1 * 4 + 2]
    assert int(differs.sum()) == 1


@pytest.mark.parametrize("kind", VITS)
def test_preprocessing_the_view_gives_the_same_pixels(kind: str, saved: Callable[[str], Path]) -> None:
    """Processing a view again gives the same pixels, so that patches are drawn at the right place."""
    reader = VisionReader.load(str(saved(kind)))
    reading = reader.read(picture(50, 40))
    again = reader.read(reading.view)
    assert reading.view.size == (32, 32)
    torch.testing.assert_close(
        again.model_input["pixel_values"], reading.model_input["pixel_values"], atol=0.02, rtol=0
    )


def test_a_batch_of_mixed_sizes_equals_one_at_a_time(tmp_path: Path) -> None:
    """DINOv2 takes any size if its processor does not crop."""
    folder = save_vit(tmp_path / "free", "dinov2")
    processor = image_processor("dinov2")
    processor.do_center_crop, processor.do_resize = False, False
    processor.save_pretrained(folder)
    model, reader = VisionModel.load(str(folder), device="cpu"), VisionReader.load(str(folder))
    readings = [reader.read(picture(w, h)) for w, h in [(32, 32), (48, 32), (32, 48), (32, 32), (64, 40)]]
    assert [r.grid for r in readings] == [(4, 4), (4, 6), (6, 4), (4, 4), (5, 8)]
    states: dict[int, torch.Tensor] = {}
    for rows, counts, found in Forward(model, 100)(readings, HOOKS[:2]):
        for row, part in zip(rows, torch.split(found[HOOKS[1]], counts.tolist()), strict=True):
            states[int(row)] = part
    for i, reading in enumerate(readings):
        alone = model.capture([reading.model_input], HOOKS[:2])[HOOKS[1]][0]
        torch.testing.assert_close(states[i], alone[reading.valid.astype(np.int64)])


@pytest.mark.parametrize("kind", VITS)
def test_hook_points_inside_a_block(kind: str, saved: Callable[[str], Path]) -> None:
    folder = saved(kind)
    model = VisionModel.load(str(folder), device="cpu")
    reading = VisionReader.load(str(folder)).read(picture(32, 32))
    hooks = [HookPoint(1, s) for s in ("resid_pre", "attn_out", "mlp_out", "resid_post", "resid_mid", "attn_z")]
    found = model.capture([reading.model_input], hooks)
    before, attention, mlp, after = (found[hook] for hook in hooks[:4])
    torch.testing.assert_close(before + attention + mlp, after)
    torch.testing.assert_close(before + attention, found[hooks[4]])
    assert found[hooks[5]].shape == before.shape


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (3, 3), (500, 2)])
@pytest.mark.parametrize("kind", ["vit", "clip", "siglip"])
def test_the_smallest_and_thinnest_images(kind: str, size: tuple[int, int], saved: Callable[[str], Path]) -> None:
    reading = VisionReader.load(str(saved(kind))).read(picture(*size))
    assert reading.model_input["pixel_values"].shape == (3, 32, 32)


def test_a_processor_that_does_not_fit_the_model_is_an_error(tmp_path: Path) -> None:
    folder = save_vit(tmp_path / "vit", "vit", image_size=48)
    with pytest.raises(ModelError, match=r"rejects the images .* of its processor"):
        VisionReader.load(str(folder))


def test_no_text_model_is_a_vision_transformer(save_tiny: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="image"):
        VisionReader.load(str(save_tiny("bert")))


def test_a_vision_tower_alone_can_be_loaded(tmp_path: Path) -> None:
    tower = transformers.AutoModel.from_config(tower_config("clip").vision_config)
    tower.save_pretrained(tmp_path / "tower")
    image_processor("clip").save_pretrained(tmp_path / "tower")
    model, reader = VisionModel.load(str(tmp_path / "tower"), device="cpu"), VisionReader.load(str(tmp_path / "tower"))
    assert model.capture([reader.read(picture(40, 40)).model_input], HOOKS[:1])[HOOKS[0]].shape == (1, 17, 24)


def test_an_image_that_becomes_too_large_is_refused(saved: Callable[[str], Path]) -> None:
    """With its shorter side resized to 32 pixels it would have 32 x 640,000."""
    thin = Image.new("RGB", (1, 20_000))
    with pytest.raises(ModelError, match="1 x 20000 pixels is too thin"):
        VisionReader.load(str(saved("clip"))).read(thin)
    assert VisionReader.load(str(saved("vit"))).read(thin).length == 17  # resized without keeping the aspect ratio
