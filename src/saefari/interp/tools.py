"""The tools of one job: caches, contexts, explainers and scorers of an SAE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.cache.latent_cache import LatentCache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.inactive_kinds import inactive_kind
from saefari.interp.explainers.build import build_explainers
from saefari.interp.job import ExplainedSae, ExplainJob
from saefari.interp.scorers.build import build_scorers
from saefari.interp.search_corpus import corpus_source
from saefari.interp.shared import Shared
from saefari.models.source import ModelSource
from saefari.store import iter_decoder, iter_encoder

if TYPE_CHECKING:
    from saefari.interp.clients.ask import Client
    from saefari.interp.explainers.explainer import Explainer
    from saefari.interp.promoted_tokens import PromotedTokens
    from saefari.interp.scorers.scorer import Scorer
    from saefari.interp.synthesis.subject import Subject
    from saefari.models.language_head import LanguageModel
    from saefari.saes.load import LoadedSae

_NEED_ALL_LATENTS = ("cooccurrence", "decoder", "encoder")
"""Kinds of inactive contexts for which the cache has to keep all latents, since any may be a neighbour."""


class Tools:
    """The tools of one job, for the SAE and its random control."""

    def __init__(self, job: ExplainJob, shared: Shared) -> None:
        self._job = job
        self._shared = shared
        self._usage_before = None if self.client is None else replace(self.client.usage)

    def of(self, job: ExplainJob) -> Tools:
        """Return the tools of another job that share the models of this one."""
        return Tools(job, self._shared)

    def cache(self, sae: ExplainedSae, latents: Iterable[int] | None) -> LatentCache:
        """Return the cache of an SAE's activations. latents: those whose activations are kept, None = all."""
        kept = None if latents is None or self._kind in _NEED_ALL_LATENTS else list(latents)
        return build_cache(sae.out / "cache", self._sources(sae), kept, overwrite=True)

    def sampler(self, sae: ExplainedSae, cache: LatentCache, latents: Sequence[int]) -> ExampleSampler:
        """Return the sampler of contexts. latents: those that will be explained."""
        sampling, seed = self._job.explain.sampling, self._job.seed
        rows = {source.name: self._shared.rows(source.samples) for source in self._sources(sae)}
        embed = self._shared.embedder.embed if self._kind == "embedding" else None
        directions = partial(self._directions, sae) if self._kind in ("decoder", "encoder") else None
        hard = inactive_kind(self._kind, cache, sampling, seed, rows, latents, embed, directions)
        return ExampleSampler(cache, sampling, seed, rows, hard)

    def explainers(self, sae: ExplainedSae, sampler: ExampleSampler) -> list[Explainer]:
        """Return the explainers, in the order of the configuration."""
        explain = self._job.explain
        is_lexical = "lexical" in explain.explainers
        return build_explainers(
            explain,
            client=self.client,
            background=self._shared.background(self._sources(sae), sampler) if is_lexical else None,
            neuronpedia_id=sae.neuronpedia_id,
            promoted_tokens=self._promoted_tokens(sae) if explain.shows_promoted_tokens else None,
            cache_folder=self._job.answers,
        )

    def scorers(self, sae: ExplainedSae) -> list[Scorer]:
        """Return the scorers, in the order of the configuration."""
        client = self._job.explain.client
        return build_scorers(
            self._job.explain,
            client=self.client,
            embedder=lambda: self._shared.embedder,
            language_model=self._client_model if client is not None and client.kind == "local" else None,
            subject=self._subject if self._job.model.model_type == "llm" else None,
            sae=partial(self._loaded, sae),
            seed=self._job.seed,
        )

    def image_subject(self, sae: ExplainedSae) -> Subject:
        """Return the vision transformer and an SAE, for images made by gradient ascent."""
        from saefari.interp.synthesis.subject import Subject
        from saefari.models.vision_model import VisionReader

        source = self._job.model
        reader = VisionReader.load(source.name, source.revision, self._job.positions)
        return Subject(reader, self._shared.vision_model(source), self._loaded(sae))

    @property
    def client(self) -> Client | None:
        """The client that answers requests; None without `explain.client`."""
        return self._shared.client(self._job)

    async def close_client(self) -> None:
        """Close the client's connections."""
        if self.client is not None:
            await self.client.close()

    def usage(self) -> dict[str, Any] | None:
        """Return what the client was asked for this job; None without a client."""
        if self.client is None or self._usage_before is None:
            return None
        return self.client.usage.since(self._usage_before).record()

    @property
    def _kind(self) -> Any:
        return self._job.explain.sampling.inactive_kind

    def _sources(self, sae: ExplainedSae) -> Sequence[CacheSource]:
        return sae.codes or [corpus_source(self._job, sae, self._shared.encoded)]

    def _directions(self, sae: ExplainedSae) -> Any:
        """Return blocks of the directions of all latents, from the SAE's folder or its loaded weights."""
        read = iter_decoder if self._kind == "decoder" else iter_encoder
        if sae.ref.path is not None and not sae.random:
            return read(Path(sae.ref.path))
        loaded = self._loaded(sae).sae
        weights = loaded.W_dec if self._kind == "decoder" else loaded.W_enc.T
        return [weights.detach().float().cpu().numpy()]

    def _loaded(self, sae: ExplainedSae) -> LoadedSae:
        """Return the SAE, or its random control without calibrated biases."""
        from saefari.saes.control import random_directions
        from saefari.saes.load import load_sae

        loaded = load_sae(sae.ref, self._job.model.device)
        return random_directions(loaded, self._job.seed) if sae.random else loaded

    def _promoted_tokens(self, sae: ExplainedSae) -> PromotedTokens:
        from saefari.interp.promoted_tokens import PromotedTokens

        return PromotedTokens(self._shared.language_model(self._job.model), self._loaded(sae))

    def _subject(self) -> LanguageModel:
        """Return the explained model with its language head."""
        return self._shared.language_model(self._job.model)

    def _client_model(self) -> LanguageModel:
        """Return the local model of the client, with its language head."""
        assert self._job.explain.client is not None
        model = self._job.model
        return self._shared.language_model(
            ModelSource("llm", self._job.explain.client.model, None, model.dtype, model.device)
        )
