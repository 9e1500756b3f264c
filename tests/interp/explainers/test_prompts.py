"""The prompts: their structure, what enters them, and that nothing in a context can change their meaning."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saefari.interp.clients.client import ImagePart, Message
from saefari.interp.explainers.prompts.render import choose_marks, framed, image_messages, text_messages
from saefari.interp.records import Context
from tests.interp.explainers.pictures import picture


def context(*tokens: str, active: dict[int, float] | None = None, row: int = 0) -> Context:
    values = np.zeros(len(tokens), np.float32)
    for place, value in (active or {}).items():
        values[place] = value
    return Context("made", row, 0, tokens, values)


ACTIVE = (
    context("The", " red", " fox", " ran", active={1: 4.0, 2: 2.0}),
    context("A", " blue", " bird", active={1: 0.3}),
)
INACTIVE = (context("No", " colour", " here"),)
PLAIN = {"chain_of_thought": False, "few_shot": False}


def text(message: Message) -> str:
    assert all(isinstance(part, str) for part in message.parts)
    return "".join(map(str, message.parts))


def lines(message: Message) -> list[dict[str, object]]:
    return [json.loads(line) for line in text(message).split("\n") if line.startswith("{")]


def test_the_question_has_one_line_of_json_per_context() -> None:
    system, question = text_messages(ACTIVE, (), None, **PLAIN)
    assert (system.role, question.role) == ("system", "user")
    assert text(question) == (
        "Passages in which the latent is active:\n"
        '{"text": "The <<red fox>> ran", "activations": [[" red", 10], [" fox", 5]]}\n'
        '{"text": "A <<blue>> bird", "activations": [[" blue", 1]]}'
    )
    assert '{"name": "<two to six words>", "explanation": "<one sentence>"}' in text(system)
    assert "between << and >>" in " ".join(text(system).split())
    assert "inactive" not in text(system)


def test_options_add_their_parts() -> None:
    messages = text_messages(ACTIVE, INACTIVE, [" crimson", "\n"], chain_of_thought=True, few_shot=True)
    assert [message.role for message in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "step by step" in text(messages[0])
    assert "resemble the active" in text(messages[0])
    assert lines(messages[-1])[2:] == [{"text": "No colour here"}, {"promoted_tokens": [" crimson", "\n"]}]
    for question, answer in ((messages[1], messages[2]), (messages[3], messages[4])):
        assert {tuple(line) for line in lines(question)} == {tuple(line) for line in lines(messages[-1])}
        thought, _, answered = text(answer).rpartition("\n\n")
        assert set(json.loads(answered)) == {"name", "explanation"}
        assert thought
        assert "{" not in thought
    plain = text_messages(ACTIVE, (), None, chain_of_thought=False, few_shot=True)
    assert all("promoted_tokens" not in text(message) for message in plain)
    assert json.loads(text(plain[2]))["name"]


HOSTILE = st.text(alphabet=st.sampled_from('<>{}[]"\\\n\r\u2028\u0085`a '), max_size=12)


@given(st.lists(st.lists(HOSTILE, min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_no_text_can_leave_its_line_or_imitate_a_mark(rows: list[list[str]], data: st.DataObject) -> None:
    contexts = [
        context(*row, active={data.draw(st.integers(0, len(row) - 1)): data.draw(st.floats(0.125, 8.0))})
        for row in rows
    ]
    system, question = text_messages(contexts, INACTIVE, None, **PLAIN)
    first, second = choose_marks(["".join(row) for row in rows])
    assert f"{first} and {second}" in " ".join(text(system).split())
    found = text(question).splitlines()
    assert len(found) == 1 + len(contexts) + 2 + 1
    for row, line in zip(rows, found[1:], strict=False):
        passage = json.loads(line)
        assert (passage["text"].count(first), passage["text"].count(second)) == (1, 1)
        assert passage["text"].replace(first, "").replace(second, "") == "".join(row)
        ((token, level),) = passage["activations"]
        assert token in row
        assert 1 <= level <= 10


def test_images_are_sent_with_a_red_frame_around_the_strongest_patch() -> None:
    active, inactive = [picture(0, [7]), picture(1, [0])], [picture(2, [])]
    system, question = image_messages(active, inactive, chain_of_thought=False)
    labels = [part for part in question.parts if isinstance(part, str)]
    images = [part for part in question.parts if isinstance(part, ImagePart)]
    assert labels == ["Active image 1:", "Active image 2:", "Inactive image 1:"]
    assert len(images) == 3
    assert "red frame" in text(system)
    assert re.search("inactive everywhere", text(system))
    for part, cell in zip(images, (7, 0, None), strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(part.data)))
        red = (pixels == [255, 0, 0]).all(axis=2)
        assert max(pixels.shape[:2]) >= 224
        assert red.any() == (cell is not None)
        if cell is not None:
            side = len(pixels) / 6
            rows, columns = np.nonzero(red)
            assert {int(rows.mean() // side), int(rows.min() // side)} == {cell // 6}
            assert {int(columns.mean() // side), int(columns.max() // side)} == {cell % 6}


@pytest.mark.parametrize("active", [[-1], []])
def test_no_frame_without_a_patch(active: list[int]) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(framed(picture(0, active)))))
    assert not (pixels == [255, 0, 0]).all(axis=2).any()
