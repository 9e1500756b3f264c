"""Which positions of a model's input count, by type of model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

ModelType = Literal["llm", "vlm", "vit"]
Positions = Annotated[
    Literal["tokens", "cls", "image", "text", "patches", "last", "all"],
    BeforeValidator(lambda value: "cls" if value == "class" else value),
]
"""tokens: the tokens of a text. cls: the special token at the start of a text, or the class token of an image.
image: the image tokens of a prompt; text: the tokens of its text; last: its last token. patches: the patches of an
image. all: every token; special tokens of a text or prompt only with `include_special_tokens`."""

POSITIONS_OF: dict[ModelType, tuple[str, ...]] = {
    "llm": ("tokens", "cls"),
    "vlm": ("image", "text", "last", "all"),
    "vit": ("patches", "cls", "all"),
}
"""Allowed values for each type of model; the first is the default."""
