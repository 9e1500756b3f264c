"""What a job needs to explain latents, each made on first use: caches, contexts, models, client."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from saefari.config import Explain
from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.cache.latent_cache import LatentCache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.hard_inactive import hard_inactive
from saefari.interp.contexts.rows import TokenRows
from saefari.interp.explainers.build import build_explainers
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.job import ExplainedSae, ExplainJob
from saefari.interp.scorers.build import build_scorers
from saefari.store import iter_decoder

if TYPE_CHECKING:
    from saefari.interp.clients.ask import Client
    from saefari.interp.explainers.explainer import Explainer
    from saefari.interp.scorers.scorer import Scorer
    from saefari.interp.sentence_embedder import SentenceEmbedder
