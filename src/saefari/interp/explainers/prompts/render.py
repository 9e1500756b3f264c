"""Messages of the explanation prompts."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from saefari.interp.clients.client import ImagePart, Message, Part
from saefari.interp.explainers.prompts import texts
from saefari.interp.explainers.prompts.few_shot import WORKED_EXAMPLES, Passage, WorkedExample
from saefari.interp.records import Context
from saefari.store import cell_box

LEVELS = 10
_SMALLEST_IMAGE = 224
"""Pixels of the longer edge; smaller images are enlarged, so that a patch can be seen."""
_FRAME = (255, 0, 0)
_SEPARATORS = re.compile("[\x7f-\x9f\u2028\u2029]")


def text_messages(
    active: Sequence[Context],
    inactive: Sequence[Context],
    promoted: Sequence[str] | None,
    *,
    chain_of_thought: bool,
    few_shot: bool,
) -> tuple[Message, ...]:
    """Return the prompt for a text latent. inactive: for contrastive prompts, else empty. promoted: None: not shown."""
    marks = choose_marks([context.text for context in (*active, *inactive)])
    is_contrastive = bool(inactive)
    parts = [texts.SYSTEM.format(opening=marks[0], closing=marks[1])]
    parts += [texts.CONTRAST] if is_contrastive else []
    parts += [texts.PROMOTED] if promoted is not None else []
    parts += [texts.THINK] if chain_of_thought else []
    messages = [Message.of("system", "\n\n".join([*parts, texts.ANSWER]))]
    for example in WORKED_EXAMPLES if few_shot else ():
        messages += _worked(example, marks, is_contrastive, promoted is not None, chain_of_thought)
    largest = max((context.peak for context in active), default=0.0)
    lines = [_passage(context, largest, marks) for context in active]
    messages.append(Message.of("user", _question(lines, [_text(one.text) for one in inactive], promoted)))
    return tuple(messages)


def image_messages(
    active: Sequence[Context], inactive: Sequence[Context], *, chain_of_thought: bool
) -> tuple[Message, ...]:
    """Return the prompt for an image latent. Contexts without an image are left out."""
    parts = [texts.IMAGES, *([texts.IMAGES_CONTRAST] if inactive else []), *([texts.THINK] if chain_of_thought else [])]
    content: list[Part] = []
    for number, context in enumerate(active, 1):
        content += [texts.ACTIVE_IMAGE.format(number=number), ImagePart(framed(context))]
    for number, context in enumerate(inactive, 1):
        content += [texts.INACTIVE_IMAGE.format(number=number), ImagePart(framed(context))]
    return Message.of("system", "\n\n".join([*parts, texts.ANSWER])), Message("user", tuple(content))


def choose_marks(passages: Sequence[str]) -> tuple[str, str]:
    """Return an opening and a closing mark that no passage contains: "<<" and ">>", or longer ones."""
    length = 2
    while any("<" * length in text or ">" * length in text for text in passages):
        length += 1
    return "<" * length, ">" * length


def framed(context: Context) -> bytes:
    """Return the image of a context as PNG, with a red frame around the cell of the strongest activation, if any."""
    from PIL import Image, ImageDraw

    assert context.image is not None
    with Image.open(io.BytesIO(context.image.png)) as opened:
        picture = opened.convert("RGB")
    scale = max(1, math.ceil(_SMALLEST_IMAGE / max(picture.size)))
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    cell = int(context.image.patches[context.centre]) if context.peak > 0 else -1
    if cell >= 0:
        left, top, right, bottom = cell_box(cell, context.image.grid)
        box = (left * picture.width, top * picture.height, right * picture.width - 1, bottom * picture.height - 1)
        ImageDraw.Draw(picture).rectangle(box, outline=_FRAME, width=max(1, max(picture.size) // 100))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _passage(context: Context, largest: float, marks: tuple[str, str]) -> str:
    """Return one line of JSON: the text with marked tokens, and the marked tokens with levels from 1 to 10.

    Neighbouring active tokens are marked together; white space before a token stays outside its marks.
    """
    text, active, is_open = "", [], False
    for token, activation in zip(context.tokens, context.activations.tolist(), strict=True):
        is_active = activation > 0
        stripped = token.lstrip()
        space = token[: len(token) - len(stripped)]
        if is_open and not is_active:
            text += marks[1]
        text += space + marks[0] + stripped if is_active and not is_open else token
        if is_active:
            active.append([token, max(1, math.ceil(LEVELS * activation / largest))])
        is_open = is_active
    return _line({"text": text + (marks[1] if is_open else ""), "activations": active})


def _text(text: str) -> str:
    return _line({"text": text})


def _line(value: Any) -> str:
    """Return JSON in one line; line separators that JSON leaves alone are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return _SEPARATORS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _question(active: Sequence[str], inactive: Sequence[str], promoted: Sequence[str] | None) -> str:
    lines = [texts.ACTIVE, *active]
    if inactive:
        lines += ["", texts.INACTIVE, *inactive]
    if promoted is not None:
        lines += ["", _line({"promoted_tokens": list(promoted)})]
    return "\n".join(lines)


def _worked(
    example: WorkedExample, marks: tuple[str, str], is_contrastive: bool, has_promoted: bool, chain_of_thought: bool
) -> list[Message]:
    """Return the question and the answer of a worked example, in the form of the real one."""
    active = [_worked_passage(passage, marks) for passage in example.active]
    inactive = [_text(text) for text in example.inactive] if is_contrastive else []
    answer = _line({"name": example.name, "explanation": example.explanation})
    return [
        Message.of("user", _question(active, inactive, example.promoted if has_promoted else None)),
        Message.of("assistant", f"{example.thought}\n\n{answer}" if chain_of_thought else answer),
    ]


def _worked_passage(passage: Passage, marks: tuple[str, str]) -> str:
    before, token, level, after = passage
    stripped = token.lstrip()
    text = f"{before}{token[: len(token) - len(stripped)]}{marks[0]}{stripped}{marks[1]}{after}"
    return _line({"text": text, "activations": [[token, level]]})
