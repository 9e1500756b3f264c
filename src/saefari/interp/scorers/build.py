"""Make the scorers that a configuration names; models are loaded only if one of them needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from saefari.config.explanation import Explain, ScorerName
from saefari.errors import ConfigError, Problem
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Request
from saefari.interp.scorers.detection import DetectionScorer
from saefari.interp.scorers.fuzzing import FuzzingScorer
from saefari.interp.scorers.intruder import IntruderScorer
from saefari.interp.scorers.scorer import Scorer
from saefari.interp.scorers.simulation import AskingSimulator, SimulationScorer
from saefari.interp.serial import Serial

if TYPE_CHECKING:
    from saefari.interp.sentence_embedder import SentenceEmbedder
    from saefari.models.language_head import LanguageModel
    from saefari.saes.load import LoadedSae

T = TypeVar("T")

READS_IMAGES: tuple[ScorerName, ...] = ("detection", "intruder")
"""Scorers that can show images to a client; all others work on texts."""
_TOP_LOGPROBS = 5


def scorer_problems(explain: Explain, *, model_type: str = "llm", is_causal: bool = True) -> list[Problem]:
    """Return what the chosen scorers cannot work with, before anything is loaded.

    model_type: of the explained model. is_causal: whether it predicts next tokens.
    """
    problems = []
    for name in explain.scorers:
        if model_type != "llm" and name not in READS_IMAGES:
            usable = ", ".join(READS_IMAGES)
            message = f"{name} works on texts, and the explained model reads images: use {usable}, or no scorer ([])"
            problems.append(Problem("explain.scorers", message))
        elif name == "surprisal" and (explain.client is None or explain.client.kind != "local"):
            message = "surprisal needs the probability of given texts: explain.client.kind must be local"
            problems.append(Problem("explain.scorers", message))
        elif name == "intervention" and not is_causal:
            message = "intervention needs a model that writes, and the explained one is an encoder: remove it"
            problems.append(Problem("explain.scorers", message))
    return problems


def build_scorers(
    explain: Explain,
    *,
    client: Client | None = None,
    embedder: Callable[[], SentenceEmbedder] | None = None,
    language_model: Callable[[], LanguageModel] | None = None,
    subject: Callable[[], LanguageModel] | None = None,
    sae: Callable[[], LoadedSae] | None = None,
    seed: int = 0,
) -> list[Scorer]:
    """Return the scorers of `explain.scorers`, in this order.

    client: asks `explain.client`. The other arguments load models; each is called at most once, and only if a scorer
    needs it. embedder: sentence encoder, by default the embedded MiniLM. language_model: the model of `explain.client`,
    if it is local. subject, sae: the explained model with its head, and the SAE. seed: of all random choices.
    Raises ConfigError for a scorer that lacks what it needs, ModelError or SaeError if a model cannot be loaded.
    """
    maker = _Maker(explain, client, embedder, language_model, subject, sae, seed)
    return [maker.make(name) for name in explain.scorers]


@dataclass
class _Maker:
    """Makes scorers that share their models."""

    explain: Explain
    given_client: Client | None
    load_embedder: Callable[[], SentenceEmbedder] | None
    load_language_model: Callable[[], LanguageModel] | None
    load_subject: Callable[[], LanguageModel] | None
    load_sae: Callable[[], LoadedSae] | None
    seed: int

    def make(self, name: ScorerName) -> Scorer:
        """Return one scorer."""
        if name == "embedding":
            return self._embedding()
        if name == "surprisal":
            return self._surprisal()
        if name == "intervention":
            return self._intervention()
        if name == "simulation":
            return self._simulation()
        if name == "detection":
            return DetectionScorer(self._client(name), self._template(name), self.seed)
        if name == "fuzzing":
            return FuzzingScorer(self._client(name), self._template(name), self.seed)
        return IntruderScorer(self._client(name), self._template(name), self.seed)

    def _client(self, name: ScorerName) -> Client:
        return _needed(self.given_client, name, "a client: give explain.client")

    def _template(self, name: ScorerName) -> Request:
        """Return the settings of requests."""
        settings = self.explain.client
        if settings is None:
            return Request(())
        judges = name in ("detection", "fuzzing") and settings.gives_log_probabilities
        top = _TOP_LOGPROBS if judges else 0
        return Request((), max_tokens=settings.max_tokens, temperature=settings.temperature, top_logprobs=top)

    @cached_property
    def _thread(self) -> Serial:
        return Serial()

    @cached_property
    def _language_model(self) -> LanguageModel | None:
        return None if self.load_language_model is None else self.load_language_model()

    def _embedding(self) -> Scorer:
        from saefari.interp.scorers.embedding import EmbeddingScorer
        from saefari.interp.sentence_embedder import SentenceEmbedder

        return EmbeddingScorer((self.load_embedder or SentenceEmbedder.load)())

    def _surprisal(self) -> Scorer:
        from saefari.interp.scorers.surprisal import SurprisalScorer
        from saefari.interp.text_likelihood import TextLikelihood

        wanted = "the probability of given texts: explain.client.kind must be local"
        language = _needed(self._language_model, "surprisal", wanted)
        return SurprisalScorer(TextLikelihood(language), self._thread)

    def _simulation(self) -> Scorer:
        if self._language_model is None:
            asking = AskingSimulator(self._client("simulation"), self._template("simulation"))
            return SimulationScorer(asking, self.seed)
        from saefari.interp.scorers.token_simulator import TokenSimulator

        return SimulationScorer(TokenSimulator(self._language_model, self._thread), self.seed)

    def _intervention(self) -> Scorer:
        from saefari.interp.scorers.intervention import InterventionScorer
        from saefari.interp.text_likelihood import TextLikelihood

        language = _needed(self.load_subject, "intervention", "the explained model, which must be a text decoder")()
        loaded = _needed(self.load_sae, "intervention", "the SAE")()
        judge = TextLikelihood(self._language_model or language)
        return InterventionScorer(language, loaded, judge, seed=self.seed, thread=self._thread)


def _needed(value: T | None, name: ScorerName, what: str) -> T:
    """Return a value that a scorer needs. Raises ConfigError without it."""
    if value is None:
        raise ConfigError([Problem("explain.scorers", f"{name} needs {what}")])
    return value
