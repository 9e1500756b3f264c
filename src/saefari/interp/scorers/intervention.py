"""Intervention: does the explanation describe what a latent makes the model write?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from saefari.interp.records import Explanation, ExplanationError, LatentExamples, Score
from saefari.interp.scorers.presentation import check_examples, explanation_text, latent_generator, spread
from saefari.interp.scorers.statistics import mean
from saefari.interp.serial import Serial
from saefari.interp.steering import SteeredModel, ablate, steer
from saefari.interp.text_likelihood import TextLikelihood
from saefari.models.language_head import LanguageModel
from saefari.saes.load import LoadedSae

PREFIX = "A text, and a description of what it is about.\nText: {}\nDescription: "
_PROMPTS = 10
_Continuations = tuple[list[str], list[str], dict[str, Any]]
"""Unchanged and edited continuations, and details."""


class InterventionScorer:
    """Nats by which an intervention on the latent makes the explanation more probable (Paulo et al. 2024,
    arXiv:2410.13928).

    Ten active contexts, spread over strength, are cut after their strongest position. The model continues each
    greedily, once unchanged and once with the hidden states edited at every position, prompt and continuation. A judge,
    a causal language model, gives log p(explanation | continuation); the value is the mean increase over the prompts,
    for "ablate" the mean decrease. "steer" adds the decoder direction, "ablate" subtracts what the latent adds to the
    reconstruction. Bisection sets the strength so that the next token's mean KL(edited ‖ unchanged) is `divergence`
    nats; otherwise strong interventions would score higher than weak ones. Chance is 0.
    """

    name = "intervention"
    chance = 0.0

    def __init__(
        self,
        language: LanguageModel,
        loaded: LoadedSae,
        judge: TextLikelihood,
        *,
        how: Literal["steer", "ablate"] = "steer",
        divergence: float = 1.0,
        n_tokens: int = 16,
        seed: int = 0,
        thread: Serial | None = None,
    ) -> None:
        """language: the model whose hidden states `loaded` encodes. n_tokens: length of a continuation."""
        self._language = language
        self._loaded = loaded
        self._judge = judge
        self._how = how
        self._divergence = divergence
        self._n_tokens = n_tokens
        self._seed = seed
        self._thread = thread or Serial()
        self._known: dict[tuple[int, tuple[str, ...]], _Continuations] = {}

    async def score(self, examples: LatentExamples, explanation: Explanation) -> Score:
        """Score an explanation. Raises ExplanationError if the divergence cannot be reached or a text is too long."""
        check_examples(examples, texts_only=self.name)
        if examples.latent >= self._loaded.d_sae:
            raise ExplanationError(
                f"latent {examples.latent}: {self._loaded.ref.title} has {self._loaded.d_sae} latents"
            )
        contexts = spread(examples, _PROMPTS, latent_generator(self._seed, examples))
        prompts = ["".join(context.tokens[: context.centre + 1]) for context in contexts]
        changes, details = await self._thread.run(
            self._changes, examples.latent, prompts, explanation_text(explanation)
        )
        found = mean(changes)
        return Score(self.name, found.value, found.interval, len(prompts), 0, details)

    def _changes(self, latent: int, prompts: list[str], explanation: str) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the change of the explanation's log-probability for each prompt, and details."""
        clean, edited, details = self._continuations(latent, prompts)
        likelihoods = self._judge.log_likelihoods([(PREFIX.format(text), explanation) for text in (*clean, *edited)])
        change = likelihoods[len(clean) :] - likelihoods[: len(clean)]
        return change if self._how == "steer" else -change, details

    def _continuations(self, latent: int, prompts: list[str]) -> _Continuations:
        """Return unchanged and edited continuations; they are kept for the latent's other explanations."""
        key = (latent, tuple(prompts))
        if key not in self._known:
            edit = (steer if self._how == "steer" else ablate)(self._loaded, latent)
            model = SteeredModel(self._language, self._loaded.hook, edit)
            rows = model.rows(prompts)
            strength, reached = model.strength_for(rows, self._divergence)
            clean, edited = (model.continuations(rows, self._n_tokens, s) for s in (0.0, strength))
            example = {"prompt": prompts[-1], "unchanged": clean[-1], "edited": edited[-1]}
            details = {"how": self._how, "strength": strength, "divergence": reached, "example": example}
            self._known[key] = clean, edited, details
        return self._known[key]
