"""The explainers of a configuration, and what is said when something that they need is missing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from saefari.config.explanation import Explain
from saefari.errors import ConfigError, SaefariError
from saefari.interp.clients.ask import Client
from saefari.interp.explainers.build import build_explainers
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.explainers.neuronpedia import NeuronpediaExplainer
from saefari.interp.explainers.neuronpedia_api import NeuronpediaApi
from tests.interp.explainers.test_prompted import EXAMPLES, GOOD, client

ASKED = {"kind": "openai", "model": "m", "base_url": "http://localhost:1/v1", "max_tokens": 55, "temperature": 0.2}


def section(**keys: Any) -> Explain:
    return Explain.model_validate({"scorers": [], **keys})


def test_all_explainers_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    csv = tmp_path / "names.csv"
    csv.write_text("latent,text\n5,Words for colours.\n")
    names = ["human", "contrastive", "none", "neuronpedia", "lexical", "prompted"]
    config = section(explainers=names, file=str(csv), client=ASKED)
    asked = client(GOOD)
    built = build_explainers(
        config, client=asked, background=Background([]), neuronpedia_id="a/b", cache_folder=tmp_path
    )
    assert [one.name for one in built] == ["human", "contrastive", "neuronpedia", "lexical", "prompted"]
    for one in (built[0], built[1], built[3], built[4]):
        assert asyncio.run(one.explain(EXAMPLES)).explainer == one.name
    assert {request.max_tokens for request in asked.backend.requests} == {55}  # type: ignore[attr-defined]
    assert {request.temperature for request in asked.backend.requests} == {0.2}  # type: ignore[attr-defined]
    assert isinstance(built[2], NeuronpediaExplainer)
    assert isinstance(built[2].source, NeuronpediaApi)


def test_a_file_of_neuronpedia(tmp_path: Path) -> None:
    path = tmp_path / "explanations.json"
    path.write_text(json.dumps({"5": "email addresses"}))
    (explainer,) = build_explainers(section(explainers=["neuronpedia"], file=str(path)))
    assert asyncio.run(explainer.explain(EXAMPLES)).name == "email addresses"


def test_none_builds_nothing() -> None:
    assert build_explainers(section(explainers=["none"])) == []


@pytest.mark.parametrize(
    ("keys", "options", "message"),
    [
        ({"explainers": ["neuronpedia"]}, {}, "explain.explainers: explainer neuronpedia: this SAE has no page"),
        ({"explainers": ["prompted"], "client": ASKED}, {}, "explain.client: explainer prompted"),
        (
            {"explainers": ["prompted"], "client": ASKED, "prompting": {"promoted_tokens": True}},
            {"client": client(GOOD)},
            "explain.prompting.promoted_tokens: the model has no language head",
        ),
        ({"explainers": ["human"], "file": "absent.csv"}, {}, "'absent.csv' does not exist"),
        ({"explainers": ["neuronpedia"], "file": "absent.json"}, {}, "'absent.json' does not exist"),
    ],
)
def test_what_is_missing_is_said(keys: dict[str, Any], options: dict[str, Client], message: str) -> None:
    with pytest.raises(SaefariError) as caught:
        build_explainers(section(**keys), **options)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert isinstance(caught.value, ConfigError) or "absent" in message
