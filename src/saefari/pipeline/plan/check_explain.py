"""Check the section `explain` before any work starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from saefari.config import Config
from saefari.data.dataset import check_dataset
from saefari.errors import PATH_LENGTH, ConfigError, Problem, shown
from saefari.pipeline.plan.check_saes import shape_of
from saefari.pipeline.plan.plan import ModelPlan

_OF_TEXTS = ("embedding", "surprisal", "intervention")
"""Scorers that compare texts or edit a language model."""


def require_explain(config: Config, source: str) -> None:
    """Raise ConfigError if the configuration has no section `explain`."""
    if config.explain is None:
        raise ConfigError([Problem("explain", "is missing: nothing to explain (see docs/explanations.md)")], source)


def check_explain(
    config: Config, models: Sequence[ModelPlan], problem: Callable[[str, str], None], *, reach: bool
) -> None:
    """Report what the explanations cannot work with. reach: files, the key and the corpus must be available."""
    explain = config.explain
    if explain is None:
        return
    if isinstance(explain.latents, tuple):
        for model in models:
            for sae in model.saes:
                d_sae = shape_of(sae).d_sae
                if d_sae is not None and (beyond := [latent for latent in explain.latents if latent >= d_sae]):
                    message = f"{beyond[0]}: layer {sae.ref.layer} {sae.ref.width} has the latents 0 to {d_sae - 1:,}"
                    problem("explain.latents", message)
    for model in models:
        for name in explain.scorers if model.model_type != "llm" else ():
            if name in _OF_TEXTS:
                message = f"{name!r} works on texts, and {model.title} is a {model.model_type}: remove it"
                problem("explain.scorers", message)
    if explain.corpus is not None:
        if any(config.positions_of(spec) != "tokens" for spec in config.models):
            problem("explain.corpus", "needs positions: tokens, since it holds texts: remove it or change positions")
        for key, message in check_dataset(explain.corpus.dataset, not reach):
            problem(f"explain.corpus.{key}", message)
    if reach and explain.file is not None and not Path(explain.file).is_file():
        problem("explain.file", f"{shown(explain.file, PATH_LENGTH)} does not exist")
    client = explain.client
    key = client.key_variable if client is not None and client.kind == "openai" else None
    if reach and key and not os.environ.get(key):
        message = f"the environment variable {key} is not set: set it to the key, or use null"
        problem("explain.client.key_variable", message)
