"""What a job needs to explain latents: caches, contexts, models and the client, each made on first use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.cache.latent_cache import LatentCache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.hard_inactive import hard_inactive
from saefari.interp.contexts.rows import TokenRows
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.job import ExplainedSae, ExplainJob
from saefari.store import iter_decoder, iter_encoder

if TYPE_CHECKING:
    from saefari.interp.clients.ask import Client
    from saefari.interp.explainers.explainer import Explainer
    from saefari.interp.scorers.scorer import Scorer
    from saefari.interp.sentence_embedder import SentenceEmbedder

_backgrounds: dict[tuple[str, ...], Background] = {}
"""Frequencies in the rows that were counted last, which the SAEs of a run share."""


class Tools:
    """The tools of one job, shared by the SAE and its random control."""

    def __init__(self, job: ExplainJob) -> None:
        self._job = job
        self._rows: dict[Path, TokenRows] = {}

    def cache(self, sae: ExplainedSae, latents: Iterable[int] | None) -> LatentCache:
        """Return the cache of an SAE's activations; latents: those that are kept, None = all."""
        sources = self._sources(sae)
        kept = None if latents is None or self._job.explain.sampling.inactive_kind in _NEED_ALL else list(latents)
        return build_cache(sae.out / "cache", sources, kept, overwrite=True)

    def sampler(self, sae: ExplainedSae, cache: LatentCache, latents: Sequence[int]) -> ExampleSampler:
        """Return the sampler of contexts. latents: those that will be explained."""
        explain, seed = self._job.explain, self._job.seed
        rows = {source.name: self._token_rows(source.samples) for source in self._sources(sae)}
        kind = explain.sampling.inactive_kind
        directions = None
        if kind in ("decoder", "encoder"):
            read = iter_decoder if kind == "decoder" else iter_encoder
            directions = partial(read, self._sae_folder(sae))
        embed = self._embedder.embed if kind == "embedding" else None
        hard = hard_inactive(kind, cache, explain.sampling, seed, rows, latents, embed, directions)
        return ExampleSampler(cache, explain.sampling, seed, rows, hard)

    def _sources(self, sae: ExplainedSae) -> Sequence[CacheSource]:
        return sae.codes or [self._corpus(sae)]

    def _token_rows(self, samples: Path) -> TokenRows:
        if samples not in self._rows:
            self._rows[samples] = TokenRows(samples)
        return self._rows[samples]
