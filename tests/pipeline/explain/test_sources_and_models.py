"""Runs that search a corpus, use each kind of inactive contexts, or ask the explained model itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saefari.interp.promoted_tokens import PromotedTokens
from saefari.pipeline.commands.cli import OK
from saefari.saes.load import load_sae
from saefari.saes.ref import SaeRef
from tests.interp.endpoint import Endpoint
from tests.interp.scorers.language import load_language_model, save_language_model
from tests.pipeline.explain.conftest import LATENTS, configuration, latent_files, record_of, run, write_config
from tests.pipeline.explain.test_asking_run import replies
from tests.pipeline.explain.test_changes import change, explain


def test_a_corpus_is_searched_in_place_of_the_stored_codes(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = {"name": str(copy / "texts.jsonl"), "context_size": 16, "n_tokens": 1000}
    change(copy, corpus=corpus, latents={"random": 5}, sampling=LATENTS["sampling"] | {"min_examples": 4})
    assert explain(copy) == OK
    files = latent_files(copy)
    assert files
    (folder,) = (copy / "explanations").glob("*/.corpus/*")
    for one in files.values():
        places = [place for places in one["contexts"].values() for place in places]
        assert {source for source, *_ in places} == {folder.name}
        assert {"shuffled", "random_sae"} >= one["scores"]["embedding"]["controls"].keys()
    assert record_of(copy)["scores"]["embedding"]["random_sae"]["n"] > 1
    codes = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npz")}
    assert len({path.parent for path in codes}) == 2  # the SAE's and its control's
    assert explain(copy) == OK
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.npz")} == codes


@pytest.mark.parametrize("kind", ["embedding", "cooccurrence", "decoder", "encoder"])
def test_each_kind_of_inactive_contexts(copy: Path, kind: str) -> None:
    before = latent_files(copy)
    change(copy, sampling=LATENTS["sampling"] | {"inactive_kind": kind})
    assert explain(copy) == OK
    files = latent_files(copy)
    assert files.keys() == before.keys()
    assert any(files[latent]["contexts"]["inactive"] != before[latent]["contexts"]["inactive"] for latent in files)
    assert record_of(copy)["scores"]["embedding"]["random_sae"]["n"] > 1


@pytest.fixture(scope="module")
def writing(tmp_path_factory: pytest.TempPathFactory, write_texts: Callable[..., Any]) -> Path:
    """A run whose explained model predicts next tokens."""
    root = tmp_path_factory.mktemp("writing")
    write_texts(root / "texts.jsonl", 160)
    raw = configuration(root, save_language_model(root / "model"))
    raw["explain"] = LATENTS | {"latents": {"used_by_classifiers": 2}, "scorers": ["intervention"]}
    write_config(root, raw)
    assert run(root) == OK
    return root


def test_interventions_in_the_explained_model_are_scored(writing: Path) -> None:
    record = record_of(writing)
    assert record["n_explained"] > 1
    assert record["scores"]["intervention"]["n"] == record["n_explained"]
    assert record["scores"]["intervention"]["random_sae"]["n"] > 1


@pytest.mark.parametrize("shown", [True, False])
def test_promoted_tokens_are_shown_to_the_language_model(writing: Path, shown: bool) -> None:
    with Endpoint(replies) as server:
        client = {"base_url": server.url, "model": "test-model", "key_variable": None, "attempts": 1}
        prompting = {"promoted_tokens": shown, "few_shot": False}
        change(writing, client=client, explainers=["prompted"], scorers=[], prompting=prompting)
        assert explain(writing) == OK
        prompts = [request.prompt for request in server.requests]
    assert len(prompts) == record_of(writing)["n_explained"]
    language, folder = load_language_model(writing / "model"), writing / "saes"
    (place,) = folder.rglob("cfg.json")
    promoted = PromotedTokens(language, load_sae(SaeRef(1, "48", path=str(place.parent)), "cpu"))
    expected = [json.dumps(promoted(latent), ensure_ascii=False) for latent in latent_files(writing)]
    assert all(any(tokens in prompt for prompt in prompts) == shown for tokens in expected)
