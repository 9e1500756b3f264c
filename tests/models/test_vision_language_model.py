"""Vision-language models: hidden states under a prompt, image tokens and texts, against Hugging Face's forward pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from saefari.errors import ModelError
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.registry import image_tokens_see_text
from saefari.models.vision_language_model import VisionLanguageModel
from saefari.models.vision_language_reader import PromptReader
from tests.tiny_vision import VLMS, picture, save_vlm, vlm_processor

HOOKS = [HookPoint(layer, "resid_post") for layer in range(4)]
IMAGE = 4  # the tokenizer's <image>
ROWS = [((50, 40), "what is this cat"), ((40, 90), None), ((33, 33), "the dog sat on a mat"), ((20, 20), "is")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders: dict[str, Path] = {}

    def save(kind: str) -> Path:
        if kind not in folders:
            folders[kind] = save_vlm(tmp_path_factory.mktemp("vlms") / kind, kind)
        return folders[kind]

    return save


def prompt(kind: str, text: str) -> str:
    """Build the prompt as the Hugging Face documentation of each family does."""
    processor = vlm_processor(kind)
    if processor.chat_template:
        content = [{"type": "image"}, {"type": "text", "text": text}]
        return str(processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True))
    return f"<image>{text}" if kind.startswith("paligemma") else f"<image>\n{text}"


def reference(folder: Path, kind: str, image: Any, text: str) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Return input_ids [T] and hidden_states [T, d] of one prompt, from the Hugging Face model with head."""
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    filled = prompt(kind, text)
    inputs = vlm_processor(kind)(
        images=[image], text=[filled], return_tensors="pt", add_special_tokens=not filled.startswith("<s>")
    )
    inputs.pop("labels", None)
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
    return inputs["input_ids"][0], tuple(state[0] for state in states)


@pytest.mark.parametrize("kind", VLMS)
def test_tokens_and_hidden_states_are_those_of_hugging_face(kind: str, saved: Callable[[str], Path]) -> None:
    folder, image = saved(kind), picture(50, 40)
    ids, expected = reference(folder, kind, image, "what is this cat")
    model, reader = VisionLanguageModel.load(str(folder), device="cpu"), PromptReader.load(str(folder))
    reading = reader.read(image, "what is this cat")
    assert reading.input_ids.tolist() == ids.tolist()
    found = model.capture([reading.model_input], HOOKS)
    for layer in range(3):  # Hugging Face's last entry is after the final norm
        torch.testing.assert_close(found[HOOKS[layer]][0], expected[layer + 1], atol=1e-4, rtol=1e-4)
        assert not torch.allclose(found[HOOKS[layer]][0], expected[layer], atol=1e-2)


@pytest.mark.parametrize("kind", VLMS)
def test_a_batch_of_mixed_sizes_equals_one_at_a_time(kind: str, saved: Callable[[str], Path]) -> None:
    folder = saved(kind)
    model, reader = VisionLanguageModel.load(str(folder), device="cpu"), PromptReader.load(str(folder), positions="all")
    readings = [reader.read(picture(*size), text) for size, text in ROWS]
    assert len({reading.length for reading in readings}) > 1
    together = model.capture([reading.model_input for reading in readings], HOOKS)[HOOKS[3]]
    for row, reading in enumerate(readings):
        alone = model.capture([reading.model_input], HOOKS)[HOOKS[3]][0]
        torch.testing.assert_close(together[row, : reading.length], alone, atol=1e-4, rtol=1e-4)
    batches = list(Forward(model, 120)(readings, HOOKS[:1]))
    assert sum(len(batch) for batch, _, _ in batches) == len(ROWS)


@pytest.mark.parametrize("kind", VLMS)
def test_image_positions_are_those_of_the_image_token(kind: str, saved: Callable[[str], Path]) -> None:
    reading = PromptReader.load(str(saved(kind))).read(picture(50, 40), "what is this cat")
    assert reading.valid.tolist() == np.flatnonzero(reading.input_ids == IMAGE).tolist()
    rows, columns = reading.grid
    placed = reading.patch[reading.patch >= 0]
    assert placed.tolist() == list(range(rows * columns))
    assert rows * columns == {"qwen2-vl": 6, "qwen2.5-vl": 6}.get(kind, 16)
    if kind != "llava-next":
        assert len(placed) == len(reading.valid)
    assert not reading.spans.any()


@pytest.mark.parametrize("kind", ["llava", "paligemma2", "gemma3", "qwen2-vl"])
def test_the_pixels_of_a_patch_change_its_token(kind: str, saved: Callable[[str], Path]) -> None:
    """If one quarter of an image changes, the tokens that change most are those of its patches."""
    folder = saved(kind)
    model, reader = VisionLanguageModel.load(str(folder), device="cpu"), PromptReader.load(str(folder))
    image = picture(32, 32)
    changed = image.copy()
    changed.paste(picture(16, 16, seed=9), (16, 0))  # the upper right quarter
    hook = HookPoint(0, "resid_pre")
    readings = [reader.read(one, "is") for one in (image, changed)]
    states = [model.capture([one.model_input], [hook])[hook][0] for one in readings]
    change = (states[0] - states[1]).norm(dim=1).numpy()[readings[0].valid]
    rows, columns = readings[0].grid
    heat = np.zeros(rows * columns)
    heat[readings[0].patch] = change
    heat = heat.reshape(rows, columns)
    assert heat[: rows // 2, columns // 2 :].mean() == max(
        heat[: rows // 2, columns // 2 :].mean(),
        heat[: rows // 2, : columns // 2].mean(),
        heat[rows // 2 :].mean(),
    )
    others = np.delete(np.arange(len(states[0])), readings[0].valid)
    torch.testing.assert_close(states[0][others], states[1][others])  # the prompt's words are unchanged


@pytest.mark.parametrize("kind", VLMS)
@pytest.mark.parametrize(
    "text", ["what is this cat", "  the dog ", "cat <image> on </s> mat", "ASSISTANT:", "é", "what"]
)
def test_text_positions_cover_the_text(kind: str, text: str, saved: Callable[[str], Path]) -> None:
    reading = PromptReader.load(str(saved(kind)), positions="text").read(picture(50, 40), text)
    spelt = "".join(text[start:stop] for start, stop in reading.spans)
    expected = text.replace("<image>", " " * 7).replace("</s>", " " * 4).strip()
    covered = set().union(*(range(start, stop) for start, stop in reading.spans))
    assert {text[i] for i in covered} >= set(expected.replace(" ", ""))
    assert spelt.replace(" ", "").startswith(expected.replace(" ", "")[:1])
    assert not np.isin(reading.input_ids[reading.valid], [IMAGE, 0, 1, 2]).any()
    assert (reading.patch == -1).all()


@pytest.mark.parametrize("kind", VLMS)
def test_image_tokens_see_text_matches_the_models(kind: str, saved: Callable[[str], Path]) -> None:
    """Hidden states of image tokens depend on the text if and only if `image_tokens_see_text`."""
    folder, image = str(saved(kind)), picture(50, 40)
    model, reader = VisionLanguageModel.load(folder, device="cpu"), PromptReader.load(folder)
    states = []
    for text in ("the cat", "a dog"):
        reading = reader.read(image, text)
        states.append(model.capture([reading.model_input], HOOKS)[HOOKS[3]][0][reading.valid])
    depends = not torch.allclose(*states, atol=1e-5)
    assert image_tokens_see_text(folder) is depends
    assert depends is kind.startswith("paligemma")


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("google/paligemma2-3b-pt-224", True),
        ("Intel/llava-gemma-2b", False),
        ("Qwen/Qwen2.5-VL-3B-Instruct", False),
        ("google/gemma-3-4b-it", False),
        ("acme/new-vlm", True),
    ],
)
def test_an_unreachable_models_type_is_guessed_from_its_name(name: str, sees: bool) -> None:
    assert image_tokens_see_text(name, reach_hub=False) is sees


def test_last_and_all(saved: Callable[[str], Path]) -> None:
    name = str(saved("llava"))
    last = PromptReader.load(name, positions="last").read(picture(50, 40), "what")
    assert last.valid.tolist() == [last.length - 1]
    plain = PromptReader.load(name, positions="all").read(picture(50, 40), "what")
    assert plain.valid.tolist() == list(range(1, plain.length))  # all but <s>
    special = PromptReader.load(name, positions="all", include_special_tokens=True).read(picture(50, 40), "what")
    assert special.valid.tolist() == list(range(special.length))


@pytest.mark.parametrize("kind", VLMS)
def test_bos_is_not_doubled(kind: str, saved: Callable[[str], Path]) -> None:
    ids = PromptReader.load(str(saved(kind))).read(picture(50, 40), "what").input_ids
    assert ids.tolist()[:2] != [1, 1]


def test_a_long_text_is_truncated_but_not_the_image(saved: Callable[[str], Path]) -> None:
    reader = PromptReader.load(str(saved("llava")), max_length=5, positions="text")
    reading = reader.read(picture(50, 40), " ".join(["cat"] * 100))
    assert len(reading.valid) == 5
    assert int((reading.input_ids == IMAGE).sum()) == 16
    long = PromptReader.load(str(saved("llava")), max_length=2000)
    with pytest.raises(ModelError, match=r"reads 512 tokens.*lower settings\.max_length"):
        long.read(picture(50, 40), " ".join(["cat"] * 600))


def test_an_older_llava_processor_is_completed_from_the_model(tmp_path: Path) -> None:
    folder = save_vlm(tmp_path / "llava", "llava")
    old = vlm_processor("llava")
    old.patch_size = old.vision_feature_select_strategy = None
    old.num_additional_image_tokens = 0
    old.save_pretrained(folder)
    assert int((PromptReader.load(str(folder)).read(picture(50, 40), "is").input_ids == IMAGE).sum()) == 16


def test_a_text_model_is_no_vision_language_model(save_tiny: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="is no vlm"):
        PromptReader.load(str(save_tiny("gemma2")))
