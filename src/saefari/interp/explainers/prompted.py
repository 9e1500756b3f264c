"""An explainer that asks a language model, given contexts with marked tokens or images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from saefari.config.explanation import Prompting
from saefari.interp.clients.answers import json_object
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, Request
from saefari.interp.explainers.prompts.render import image_messages, text_messages
from saefari.interp.explainers.prompts.texts import VERSION
from saefari.interp.records import Context, Explanation, ExplanationError, LatentExamples

MOST_IMAGES = 12
"""Images per prompt; an image costs as much as hundreds of words."""
_LONGEST_NAME, _LONGEST_SENTENCE = 100, 1000

PromotedTokens = Callable[[int], Sequence[str]]
"""Latent -> the tokens whose logits its decoder direction raises most."""


@dataclass
class PromptedExplainer:
    """Asks a language model what the marked tokens of a latent's contexts have in common.

    options: chain of thought, promoted tokens, worked examples. promoted_tokens: needed for `options.promoted_tokens`.
    Image latents need a model that reads images; at most `MOST_IMAGES` are sent, spread over the activations.
    """

    client: Client
    options: Prompting = field(default_factory=Prompting)
    promoted_tokens: PromotedTokens | None = None
    max_tokens: int = 1000
    temperature: float = 0.0
    name: str = "prompted"

    async def explain(self, examples: LatentExamples) -> Explanation:
        """Return the model's explanation. Raises ExplanationError (with the answer as `raw`) or ClientError."""
        return await self._ask(examples, ())

    async def _ask(self, examples: LatentExamples, inactive: Sequence[Context]) -> Explanation:
        active = [context for context in examples.explain if context.peak > 0]
        if not active:
            raise ExplanationError(f"latent {examples.latent} has no active contexts to explain")
        if any(context.image is not None for context in active):
            messages = self._image_messages(examples.latent, active, inactive)
        else:
            wanted = self.promoted_tokens if self.options.promoted_tokens else None
            messages = text_messages(
                active,
                inactive,
                None if wanted is None else wanted(examples.latent),
                chain_of_thought=self.options.chain_of_thought,
                few_shot=self.options.few_shot,
            )
        request = Request(messages, max_tokens=self.max_tokens, temperature=self.temperature)
        name, sentence = await self.client.ask(request, parse_explanation)
        return Explanation(name, sentence, self.name, model=self.client.model, version=VERSION)

    def _image_messages(self, latent: int, active: Sequence[Context], inactive: Sequence[Context]) -> Any:
        if not self.client.vision:
            raise ExplanationError(
                f"latent {latent} is active in images, which {self.client.model} does not read: set explain.client to "
                "a model that does, or use the explainer lexical"
            )
        shown = _spread([one for one in active if one.image is not None], MOST_IMAGES)
        beside = _spread([one for one in inactive if one.image is not None], MOST_IMAGES // 2)
        return image_messages(shown, beside, chain_of_thought=self.options.chain_of_thought)


def parse_explanation(answer: Answer) -> tuple[str, str]:
    """Return the name and the explanation of an answer. Raises ExplanationError for anything but one such object."""
    found = json_object(answer.text)
    return _read(found, "name", _LONGEST_NAME, answer), _read(found, "explanation", _LONGEST_SENTENCE, answer)


def _read(found: dict[str, Any], key: str, longest: int, answer: Answer) -> str:
    value = found.get(key)
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text or text.strip("<>.…- ") == "":
        raise ExplanationError(f"unusable answer: its JSON has no text under {key!r}", answer.text)
    if len(text) > longest:
        raise ExplanationError(f"unusable answer: {key!r} has {len(text)} characters, at most {longest}", answer.text)
    return text


def _spread(contexts: Sequence[Context], most: int) -> list[Context]:
    """Return at most `most` contexts, from the strongest to the weakest at equal distances."""
    ordered = sorted(contexts, key=lambda context: (-context.peak, context.source, context.row))
    if len(ordered) <= most:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]
