"""The prompt of a vision-language model: an image, optionally with a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_PLACE = "\ue000text\ue000"  # private-use characters, which no template contains


@dataclass(frozen=True)
class Template:
    """The parts of a prompt before and after the text; `before` contains the image placeholder."""

    before: str
    after: str

    @classmethod
    def of(cls, processor: Any) -> Template:
        """Use the processor's chat template, else its tokenizer's, else the image followed by the text.

        A chat template ends where the model's answer would begin.
        """
        image = processor.image_token
        if processor.chat_template:
            parts = [{"type": "image"}, {"type": "text", "text": _PLACE}]
            rendered = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        elif processor.tokenizer.chat_template:
            message = {"role": "user", "content": f"{image}\n{_PLACE}"}
            rendered = processor.tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        else:
            # PaliGemma's processor itself inserts BOS between image and text.
            rendered = image + ("" if type(processor).__name__.startswith("PaliGemma") else "\n") + _PLACE
        before, _, after = rendered.partition(_PLACE)
        return cls(before, after)

    def fill(self, text: str) -> str:
        """Insert a text into the prompt."""
        return self.before + text + self.after


class RecordingTokenizer:
    """A tokenizer that remembers its last input: the prompt after a processor expanded the image placeholder."""

    def __init__(self, tokenizer: Any) -> None:
        self.inner = tokenizer
        self.last = ""

    def __call__(self, text: Any, **options: Any) -> Any:
        self.last = text if isinstance(text, str) else text[0]
        return self.inner(text, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # missing during unpickling
            raise AttributeError(name)
        return getattr(self.inner, name)
