"""How explanations and contexts are shown to those who judge them: as text or images, in random order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from saefari.interp.clients.client import ImagePart, Part
from saefari.interp.records import Context, Explanation, LatentExamples, NotPossibleError

T = TypeVar("T")


def explanation_text(explanation: Explanation) -> str:
    """Return name and sentence as one text; only the sentence if it begins with the name."""
    name, sentence = explanation.name.strip(), explanation.sentence.strip()
    if not name or sentence.casefold().startswith(name.casefold()):
        return sentence
    return f"{name}: {sentence}" if sentence else name


def latent_generator(seed: int, examples: LatentExamples) -> np.random.Generator:
    """Return the random generator of one latent; it does not depend on the explanation."""
    return np.random.default_rng([seed, examples.latent])


def shuffled(items: Sequence[T], generator: np.random.Generator) -> list[T]:
    """Return items in random order, so that their place does not reveal which contexts are active."""
    return [items[i] for i in generator.permutation(len(items))]


def spread(examples: LatentExamples, n: int, generator: np.random.Generator) -> list[Context]:
    """Return at most n active contexts, spread evenly over strength; random ones of equal strength."""
    order = generator.permutation(len(examples.test))
    order = order[np.argsort(examples.deciles[order], kind="stable")]
    n = min(n, len(order))
    return [examples.test[i] for i in order[(np.arange(n) * len(order)) // n].tolist()]


def batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Divide items into as few batches of at most `size` as possible; their sizes differ by at most one."""
    n_batches = -(-len(items) // size)
    bounds = np.linspace(0, len(items), n_batches + 1).round().astype(int)
    return [items[start:stop] for start, stop in pairwise(bounds.tolist())]


def check_examples(examples: LatentExamples, *, texts_only: str | None = None) -> None:
    """Raise NotPossibleError without active or inactive contexts; ExplanationError for images if only texts are scored.

    texts_only: name of the scorer that reads texts only.
    """
    if not examples.test or not examples.inactive:
        raise NotPossibleError(
            f"latent {examples.latent}: scoring needs active and inactive test contexts, "
            f"there are {len(examples.test)} and {len(examples.inactive)}"
        )
    if texts_only and any(context.image for context in (*examples.test, *examples.inactive)):
        raise NotPossibleError(
            f"latent {examples.latent}: the scorer {texts_only} reads texts, its contexts are images"
        )


def context_parts(context: Context) -> tuple[Part, ...]:
    """Return a context for a message: its text as a JSON string, or its image."""
    if context.image is not None:
        return (ImagePart(context.image.png),)
    return (json.dumps(context.text, ensure_ascii=False),)


def marked(tokens: Sequence[str], marks: np.ndarray) -> str:
    """Return the text of tokens with each run of marked ones between << and >>; white space before it stays outside.

    marks: bool [n_tokens].
    """
    pieces: list[str] = []
    for i, token in enumerate(tokens):
        begins = marks[i] and (i == 0 or not marks[i - 1])
        ends = marks[i] and (i + 1 == len(tokens) or not marks[i + 1])
        text = token.lstrip() if begins else token
        if begins:
            pieces.append(token[: len(token) - len(text)] + "<<")
        pieces.append(text)
        if ends:
            pieces.append(">>")
    return "".join(pieces)
