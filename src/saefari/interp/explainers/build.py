"""The explainers that a configuration names."""

from __future__ import annotations

from pathlib import Path

from saefari.config.explanation import Explain
from saefari.errors import ConfigError, Problem
from saefari.interp.clients.ask import Client
from saefari.interp.explainers.contrastive import ContrastiveExplainer
from saefari.interp.explainers.explainer import Explainer
from saefari.interp.explainers.human import HumanExplainer, read_human
from saefari.interp.explainers.lexical import LexicalExplainer
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.explainers.neuronpedia import NeuronpediaExplainer
from saefari.interp.explainers.neuronpedia_api import NeuronpediaApi
from saefari.interp.explainers.neuronpedia_file import read_neuronpedia
from saefari.interp.explainers.prompted import PromotedTokens, PromptedExplainer


def build_explainers(
    section: Explain,
    *,
    client: Client | None = None,
    background: Background | None = None,
    neuronpedia_id: str | None = None,
    promoted_tokens: PromotedTokens | None = None,
    cache_folder: Path | None = None,
) -> list[Explainer]:
    """Return the explainers of one SAE, in the order of the configuration.

    `none` has no explainer: its latents get contexts and counts, but no explanation and no scores.
    client: for prompted and contrastive. background: of the contexts' corpus, for lexical. neuronpedia_id: of the SAE.
    promoted_tokens: None if the model has no language head. cache_folder: for answers of Neuronpedia's API.
    Raises ConfigError if something that an explainer needs is missing, DataError if `file` cannot be read.
    """
    return [
        _build(name, section, client, background, neuronpedia_id, promoted_tokens, cache_folder)
        for name in section.explainers
        if name != "none"
    ]


def _build(
    name: str,
    section: Explain,
    client: Client | None,
    background: Background | None,
    neuronpedia_id: str | None,
    promoted_tokens: PromotedTokens | None,
    cache_folder: Path | None,
) -> Explainer:
    if name == "lexical":
        if background is None:
            raise ValueError("the explainer lexical needs the background of the corpus")
        return LexicalExplainer(background)
    if name == "human":
        if section.file is None:
            raise _problem("file", "explainer human: give a CSV with the columns latent and text")
        return HumanExplainer(read_human(Path(section.file)))
    if name == "neuronpedia":
        return _neuronpedia(section, neuronpedia_id, cache_folder)
    if client is None or section.client is None:
        raise _problem("client", f"explainer {name}: asks a language model; give explain.client")
    if section.prompting.promoted_tokens and promoted_tokens is None:
        raise _problem("prompting.promoted_tokens", "the model has no language head, so no token is promoted")
    kind = PromptedExplainer if name == "prompted" else ContrastiveExplainer
    return kind(
        client,
        section.prompting,
        promoted_tokens,
        max_tokens=section.client.max_tokens,
        temperature=section.client.temperature,
    )


def _neuronpedia(section: Explain, neuronpedia_id: str | None, cache_folder: Path | None) -> NeuronpediaExplainer:
    """Return the explainer on `file`; on the API if there is none, or if it is the CSV of `human`."""
    if section.file is not None and not section.file.endswith(".csv"):
        return NeuronpediaExplainer(read_neuronpedia(Path(section.file), neuronpedia_id))
    if neuronpedia_id is None:
        message = "explainer neuronpedia: this SAE has no page on Neuronpedia; give a file, or use another explainer"
        raise _problem("explainers", message)
    return NeuronpediaExplainer(NeuronpediaApi(neuronpedia_id, cache_folder))


def _problem(key: str, message: str) -> ConfigError:
    return ConfigError([Problem(f"explain.{key}", message)])
