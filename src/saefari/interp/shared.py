"""What the jobs of a run share, each made on first use: models, the client, rows and word frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.config import Settings
from saefari.interp.job import ExplainJob
from saefari.models.source import ModelSource

if TYPE_CHECKING:
    from saefari.interp.cache.build import CacheSource
    from saefari.interp.clients.ask import Client
    from saefari.interp.contexts.examples import ExampleSampler
    from saefari.interp.contexts.rows import TokenRows
    from saefari.interp.explainers.lexicon.background import Background
    from saefari.interp.sentence_embedder import SentenceEmbedder
    from saefari.models.language_head import LanguageModel
    from saefari.models.vision_model import VisionModel


class Shared:
    """What the jobs of a run share: models, the client, and the rows with their word frequencies."""

    def __init__(self) -> None:
        self.encoded: set[Path] = set()
        """Folders of searched corpora that are encoded and checked."""
        self._rows: dict[Path, TokenRows] = {}
        self._client: Client | None = None
        self._language_models: dict[ModelSource, LanguageModel] = {}
        self._vision_models: dict[ModelSource, VisionModel] = {}
        self._background: tuple[tuple[Path, ...], Background] | None = None

    def rows(self, samples: Path) -> TokenRows:
        """Return the rows of a stored split."""
        from saefari.interp.contexts.rows import TokenRows

        if samples not in self._rows:
            self._rows[samples] = TokenRows(samples)
        return self._rows[samples]

    def background(self, sources: Sequence[CacheSource], sampler: ExampleSampler) -> Background:
        """Return word frequencies in the rows of a sampler; those of the last rows are kept."""
        from saefari.interp.explainers.lexicon.background import Background

        key = tuple(source.samples for source in sources)
        if self._background is None or self._background[0] != key:
            counted = Background((row.tokens, row.label) for row in sampler.iter_rows())
            self._background = key, counted
        return self._background[1]

    @cached_property
    def embedder(self) -> SentenceEmbedder:
        """The sentence encoder."""
        from saefari.interp.sentence_embedder import SentenceEmbedder

        return SentenceEmbedder.load()

    def client(self, job: ExplainJob) -> Client | None:
        """Return the client of a run, whose `max_cost` is for all jobs together; None without `explain.client`."""
        section = job.explain.client
        if section is not None and self._client is None:
            from saefari.interp.clients.build import build_client

            settings = Settings.model_validate({"dtype": job.model.dtype, "device": job.model.device})
            needs_vision = job.model.model_type != "llm"
            self._client = build_client(section, job.answers, settings, needs_vision=needs_vision)
        return self._client

    def language_model(self, source: ModelSource) -> LanguageModel:
        """Return a causal language model with its head, loaded once. Raises ModelError."""
        from saefari.models.language_head import LanguageModel
        from saefari.models.text_model import TextModel

        if source not in self._language_models:
            text = TextModel.load(source.name, source.revision, source.dtype, source.device)
            self._language_models[source] = LanguageModel.of(text)
        return self._language_models[source]

    def vision_model(self, source: ModelSource) -> VisionModel:
        """Return a vision transformer, loaded once. Raises ModelError."""
        from saefari.models.vision_model import VisionModel

        if source not in self._vision_models:
            self._vision_models[source] = VisionModel.load(source.name, source.revision, source.dtype, source.device)
        return self._vision_models[source]
