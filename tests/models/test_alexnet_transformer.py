"""The AlexNet-transformer: its grid, its residual stream, and loading it by its path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification

from saefari.config import Convolution, grid_side
from saefari.errors import ModelError
from saefari.models.alexnet_preprocessing import pixel_values, processor_config, view
from saefari.models.alexnet_transformer import (
    AlexNetTransformerForImageClassification,
    AlexNetTransformerModel,
    Embedding,
)
from saefari.models.alexnet_transformer_config import AlexNetTransformerConfig
from saefari.models.hooks import HookPoint, capture, find_blocks
from saefari.models.pretrained import read_weights
from saefari.models.registry import describe


def small(**more: Any) -> AlexNetTransformerConfig:
    shape = {"image_size": 8, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    return AlexNetTransformerConfig(**{**shape, **more})


def model_of(config: AlexNetTransformerConfig) -> AlexNetTransformerModel:
    torch.manual_seed(0)
    return AlexNetTransformerModel(config).eval()


def images(n: int = 2, side: int = 8) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("side", "cells"), [(224, 13), (128, 7), (64, 8), (32, 8), (28, 7), (16, 8), (8, 8), (5, 5)])
def test_usual_grids(side: int, cells: int) -> None:
    assert AlexNetTransformerConfig(image_size=side).grid == (cells, cells)


CONVOLUTIONS = st.builds(
    Convolution,
    channels=st.integers(1, 3),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
    pool=st.sampled_from([0, 0, 1, 2, 3]),
)


@given(st.lists(CONVOLUTIONS, min_size=1, max_size=4), st.integers(4, 40))
def test_the_grid_matches_the_convolutions(stack: list[Convolution], side: int) -> None:
    raw = [one.model_dump() for one in stack]
    if not grid_side(stack, side):
        with pytest.raises(ValueError, match="empty grid"):
            small(image_size=side, convolutions=raw)
        return
    config = small(image_size=side, convolutions=raw)
    states = Embedding(config).convolutions(images(1, side))
    assert states.shape == (1, stack[-1].channels, *config.grid)


def test_cells_are_in_row_major_order() -> None:
    embedding = Embedding(small(convolutions=[{"channels": 32, "kernel": 2, "stride": 2, "padding": 0}]))
    states = embedding(images())
    torch.testing.assert_close(states[:, 4 * 2 + 3], embedding.convolutions(images())[:, :, 2, 3])


@pytest.mark.parametrize("causal", [False, True])
def test_hidden_states_are_the_blocks_outputs(causal: bool) -> None:
    model = model_of(small(causal=causal))
    for parameter in model.parameters():  # norms too, so that a missing one is noticed
        torch.nn.init.normal_(parameter, std=0.3)
    assert len(find_blocks(model)) == 3
    with torch.no_grad():
        output = model(images(), output_hidden_states=True)
    assert len(output.hidden_states) == 4
    assert model(images()).hidden_states is None
    torch.testing.assert_close(model.norm(output.hidden_states[-1]), output.last_hidden_state)
    for layer in range(3):
        hooks = [HookPoint(layer, "resid_pre"), HookPoint(layer, "resid_post")]
        with torch.no_grad(), capture(model, hooks) as found:
            model(images())
        for hook, expected in zip(hooks, output.hidden_states[layer : layer + 2], strict=True):
            assert found[hook].shape == (2, 64, 32)
            torch.testing.assert_close(found[hook], expected)


@pytest.mark.parametrize("causal", [False, True])
def test_only_a_causal_model_ignores_later_cells(causal: bool) -> None:
    model = model_of(small(causal=causal))
    before, after = images(1), images(1)
    after[..., 7, 7] += 3  # three convolutions spread it to row 4 at most
    with torch.no_grad():
        one, other = (model(x).last_hidden_state[0] for x in (before, after))
    early = slice(0, 4 * 8)
    assert not torch.allclose(one[-1], other[-1])
    assert torch.equal(one[early], other[early]) == causal


def test_a_batch_equals_single_images() -> None:
    model = model_of(small())
    with torch.no_grad():
        together, alone = model(images(3)), [model(x[None]).last_hidden_state for x in images(3)]
    torch.testing.assert_close(together.last_hidden_state, torch.cat(alone))


def test_initial_weights() -> None:
    blocks = model_of(small(hidden_size=128, num_hidden_layers=8)).blocks
    assert blocks[0].mlp.up.weight.std().item() == pytest.approx(0.02, rel=0.1)
    for matrix in (blocks[0].mlp.down, blocks[0].attention.projection):
        assert matrix.weight.std().item() == pytest.approx(0.02 / 4, rel=0.1)
        assert not matrix.bias.any()


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pixel_values is \[2, 3, 9, 9\], but an image must be \[3, 8, 8\]"):
        model_of(small())(images(2, 9))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="hidden_size 30 is no multiple of num_attention_heads 4"):
        small(hidden_size=30)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[AlexNetTransformerForImageClassification, Path]:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    model = AlexNetTransformerForImageClassification(small(causal=True, id2label={0: "cat", 1: "dog", 2: "eel"})).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor_config(8)))
    return model, folder


def test_a_saved_model_loads_by_path(saved: tuple[AlexNetTransformerForImageClassification, Path]) -> None:
    model, folder = saved
    info = describe(str(folder))
    assert (info.n_layers, info.d_model, info.source) == (3, 32, "local")
    assert [file.name for file in folder.glob("model*")] == ["model.safetensors"]
    base, missing = read_weights(AutoModel, info, str(folder), torch.float32)
    assert missing == []
    classifier, missing = read_weights(AutoModelForImageClassification, info, str(folder), torch.float32)
    assert missing == []
    assert classifier.config.id2label == {0: "cat", 1: "dog", 2: "eel"}
    assert base.config.causal
    with torch.no_grad():
        expected = model(images(), output_hidden_states=True)
        assert torch.equal(classifier.eval()(images()).logits, expected.logits)
        read = base.eval()(images(), output_hidden_states=True).hidden_states
    assert all(torch.equal(one, other) for one, other in zip(read, expected.hidden_states, strict=True))


def test_a_new_process_loads_it_without_remote_code(
    saved: tuple[AlexNetTransformerForImageClassification, Path],
) -> None:
    code = f"from saefari.models.registry import describe; print(describe({str(saved[1])!r}).d_model)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "32"


def test_a_damaged_configuration_is_one_clear_error(
    saved: tuple[AlexNetTransformerForImageClassification, Path], tmp_path: Path
) -> None:
    raw = json.loads((saved[1] / "config.json").read_text())
    raw["convolutions"][0]["kernel"] = -1
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(ModelError, match="cannot be read"):
        describe(str(tmp_path))


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Load transformers' image processor from a folder."""
    folder = tmp_path_factory.mktemp("processor")
    (folder / "preprocessor_config.json").write_text(json.dumps(processor_config(16)))
    return AutoImageProcessor.from_pretrained(folder, backend="pil")


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_transformers_processor_gives_the_same_pixels(processor: Any, width: int, height: int) -> None:
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    views = torch.from_numpy(view(picture, 16).copy())[None]
    torch.testing.assert_close(pixel_values(views), processor(picture, return_tensors="pt")["pixel_values"])
