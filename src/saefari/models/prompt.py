"""The prompt that a vision-language model is asked: an image, and a text where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_PLACE = "\ue000text\ue000"  # of a private area: no template has it


@dataclass(frozen=True)
class Template:
    """What stands before and after the text in a prompt; `before` holds the image's placeholder."""

    before: str
    after: str

    @classmethod
    def of(cls, processor: Any) -> Template:
        """The processor's chat template, its tokenizer's, or the image followed by the text.

        A chat template ends where the model would begin to answer.
        """
        image = processor.image_token
        if processor.chat_template:
            parts = [{"type": "image"}, {"type": "text", "text": _PLACE}]
            rendered = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        elif processor.tokenizer.chat_template:
            message = {"role": "user", "content": f"{image}\n{_PLACE}"}
            rendered = processor.tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        else:
            # PaliGemma's processor puts the text's beginning behind the image itself.
            rendered = image + ("" if type(processor).__name__.startswith("PaliGemma") else "\n") + _PLACE
        before, _, after = rendered.partition(_PLACE)
        return cls(before, after)

    def fill(self, text: str) -> str:
        """The prompt with this text."""
        return self.before + text + self.after


class RecordingTokenizer:
    """A tokenizer that remembers what it read last: a processor expands the image's placeholder before it tokenises."""

    def __init__(self, tokenizer: Any) -> None:
        self.inner = tokenizer
        self.last = ""

    def __call__(self, text: Any, **options: Any) -> Any:
        self.last = text if isinstance(text, str) else text[0]
        return self.inner(text, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # not there while it is unpickled
            raise AttributeError(name)
        return getattr(self.inner, name)
