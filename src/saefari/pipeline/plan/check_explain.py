"""Check the section `explain` before any work starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from saefari.config import Config, Explain
from saefari.data.dataset import check_dataset
from saefari.errors import PATH_LENGTH, ConfigError, DataError, ModelError, Problem, shown
from saefari.pipeline.plan.check_saes import shape_of
from saefari.pipeline.plan.plan import ModelPlan


def require_explain(config: Config, source: str) -> None:
    """Raise ConfigError if the configuration has no section `explain`."""
    if config.explain is None:
        raise ConfigError([Problem("explain", "is missing: nothing to explain (see docs/explanations.md)")], source)


def check_explain(
    config: Config, models: Sequence[ModelPlan], problem: Callable[[str, str], None], *, reach: bool
) -> None:
    """Report what the explanations cannot work with. reach: the key and the model must be available."""
    explain = config.explain
    if explain is None:
        return
    from saefari.interp.clients.build import check_client
    from saefari.interp.scorers.build import scorer_problems

    if isinstance(explain.latents, tuple):
        for model in models:
            for sae in model.saes:
                d_sae = shape_of(sae).d_sae
                if d_sae is not None and (beyond := [latent for latent in explain.latents if latent >= d_sae]):
                    message = f"{beyond[0]}: layer {sae.ref.layer} {sae.ref.width} has the latents 0 to {d_sae - 1:,}"
                    problem("explain.latents", message)
    others = sorted({model.model_type for model in models if model.model_type != "vit"})
    if explain.synthesise and others:
        message = f"makes images for model_type vit only; this run has {' and '.join(others)}: set it to false"
        problem("explain.synthesise", message)
    problems: dict[str, Problem] = {}
    for model in models:
        causal = _is_causal(model, explain, reach)
        found = scorer_problems(explain, model_type=model.model_type, is_causal=causal)
        if not causal and explain.shows_promoted_tokens:
            message = f"{model.title} is an encoder without a language head, so no token is promoted: remove it"
            found.append(Problem("explain.prompting.promoted_tokens", message))
        problems |= {str(one): one for one in found}
    if reach and explain.client is not None:
        try:
            check_client(explain.client, needs_vision=any(model.model_type != "llm" for model in models))
        except ConfigError as error:
            problems |= {str(one): one for one in error.problems}
    for one in problems.values():
        problem(one.path, one.message)
    if explain.corpus is not None:
        if any(config.positions_of(spec) != "tokens" for spec in config.models):
            problem("explain.corpus", "needs positions: tokens, since it holds texts: remove it or change positions")
        for key, message in check_dataset(explain.corpus.dataset, not reach):
            problem(f"explain.corpus.{key}", message)
    if explain.file is not None:
        _check_file(explain, problem)


def _is_causal(model: ModelPlan, explain: Explain, reach: bool) -> bool:
    """Return whether a text model predicts next tokens; True where nothing depends on it or it is not known yet."""
    if model.model_type != "llm" or not ("intervention" in explain.scorers or explain.shows_promoted_tokens):
        return True
    from saefari.models.registry import is_causal, read_config

    try:
        return is_causal(read_config(model.name, model.revision, reach_hub=reach))
    except ModelError:  # the check of the model's layers reports it
        return True


def _check_file(explain: Explain, problem: Callable[[str, str], None]) -> None:
    """Report a file that does not exist, and the mistakes in the CSV of `human`."""
    from saefari.interp.explainers.human import read_human

    assert explain.file is not None
    if not Path(explain.file).is_file():
        problem("explain.file", f"{shown(explain.file, PATH_LENGTH)} does not exist")
    elif "human" in explain.explainers:
        try:
            read_human(Path(explain.file))
        except DataError as error:
            problem("explain.file", str(error).removeprefix("explain.file: "))
