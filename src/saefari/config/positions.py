"""Which positions of a model's input count, by what kind of model reads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

ModelType = Literal["llm", "vlm", "vit"]
Positions = Annotated[
    Literal["tokens", "cls", "image", "text", "patches", "last", "all"],
    BeforeValidator(lambda value: "cls" if value == "class" else value),
]
"""tokens: a text's tokens. cls: the special token that begins a text, or an image's patches. image: a prompt's image
tokens; text: the tokens of its text. patches: an image's patches. last: a prompt's last token. all: every token, of a
text or prompt the special ones only with `include_special_tokens`."""

POSITIONS_OF: dict[ModelType, tuple[str, ...]] = {
    "llm": ("tokens", "cls"),
    "vlm": ("image", "text", "last", "all"),
    "vit": ("patches", "cls", "all"),
}
"""What each kind of model may count; the first is what it counts where nothing is said."""
