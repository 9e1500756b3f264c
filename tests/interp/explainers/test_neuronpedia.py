"""Explanations from Neuronpedia's exports, MOSAIC's cached files and Neuronpedia's API."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saefari.errors import DataError, SaeError
from saefari.interp.explainers.neuronpedia import NeuronpediaExplainer
from saefari.interp.explainers.neuronpedia_api import KEY_VARIABLE, NeuronpediaApi
from saefari.interp.explainers.neuronpedia_file import Written, read_neuronpedia
from saefari.interp.records import ExplanationError, LatentExamples
from tests.interp.endpoint import DROP, Endpoint, Reply

SAE = "gemma-2-2b/12-gemmascope-res-16k"
OTHER = {"modelId": "gpt2-small", "layer": "6-res-jb", "index": "7", "description": "another SAE's"}


def entry(index: Any, description: Any, **more: Any) -> dict[str, Any]:
    model, sae = SAE.split("/")
    return {"modelId": model, "layer": sae, "index": index, "description": description, **more}


ENTRIES = [
    entry("7", " the word “to”\n", explanationModelName="gpt-4o-mini", typeName="oai_token-act-pair"),
    entry("7", "a second one"),
    entry(8, ""),
    entry(8, "email addresses"),
]
EXPECTED = {7: Written("the word “to”", "gpt-4o-mini"), 8: Written("email addresses")}


def written(folder: Path, content: str | bytes, name: str = "file.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def examples(latent: int) -> LatentExamples:
    return LatentExamples(latent, (), (), np.zeros(0, np.int8), ())


@pytest.mark.parametrize("sae", [SAE, None])
def test_the_export_as_json_jsonl_and_gzip(tmp_path: Path, sae: str | None) -> None:
    rows = [*ENTRIES, OTHER] if sae else ENTRIES
    lines = "\n".join(map(json.dumps, rows)) + "\n\n"
    for content in (json.dumps(rows), lines, gzip.compress(lines.encode())):
        assert read_neuronpedia(written(tmp_path, content), sae) == EXPECTED


def test_answers_of_the_feature_api_in_a_file(tmp_path: Path) -> None:
    model, sae = SAE.split("/")
    nested = {"modelId": model, "layer": sae, "index": "7", "explanations": [{"description": None}, ENTRIES[0]]}
    assert read_neuronpedia(written(tmp_path, json.dumps(nested)), SAE) == {7: EXPECTED[7]}


def test_cached_explanations_of_mosaic(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps({"0": " references to labeled data", "9909": 'the word "to"', "3": None}))
    assert read_neuronpedia(path, SAE) == {0: Written("references to labeled data"), 9909: Written('the word "to"')}


@pytest.mark.parametrize(
    ("content", "sae", "message"),
    [
        ('{"index": 1, "description": "x"}\n{broken', None, "line 2: not valid JSON"),
        ('[{"index": -1, "description": "x"}]', None, "item 1: index is -1"),
        ('[{"index": true, "description": "x"}]', None, "item 1: index is True"),
        ('[{"description": "x"}]', None, "item 1: not an object with index"),
        ("[1, 2, 3, 4, 5, 6, 7]", None, "and 2 more"),
        (json.dumps([OTHER]), SAE, f"no explanations of {SAE}; it has gpt2-small/6-res-jb"),
        (json.dumps([*ENTRIES, OTHER]), None, "several SAEs"),
        ("[]", None, "no explanations"),
        ("", None, "no explanations"),
        (b"\xff\xfe", None, "cannot be read"),
        (b"\x1f\x8bbroken", None, "cannot be read"),
        ("[" * 100_000, None, "not valid JSON"),
    ],
)
def test_files_with_mistakes(tmp_path: Path, content: str | bytes, sae: str | None, message: str) -> None:
    with pytest.raises(DataError, match=r"explain\.file") as caught:
        read_neuronpedia(written(tmp_path, content), sae)
    assert message in str(caught.value)


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_neuronpedia(tmp_path / "absent.json", SAE)


def test_the_explainer_on_a_file() -> None:
    explainer = NeuronpediaExplainer({**EXPECTED, 9: Written("long " * 40)})
    found = asyncio.run(explainer.explain(examples(8)))
    assert (found.name, found.sentence, found.explainer) == ("email addresses", "email addresses.", "neuronpedia")
    assert asyncio.run(explainer.explain(examples(7))).model == "gpt-4o-mini"
    assert len(asyncio.run(explainer.explain(examples(9))).name) <= 62
    with pytest.raises(ExplanationError, match="latent 1"):
        asyncio.run(explainer.explain(examples(1)))


FEATURE = Reply({"modelId": "m", "index": "7", "explanations": [{"description": "email addresses"}], "activations": []})


def ask(server: Endpoint, cache: Path | None = None, latent: int = 7) -> Any:
    api = NeuronpediaApi(SAE, cache, address=server.url.removesuffix("/v1"), pause=0.001)
    return asyncio.run(NeuronpediaExplainer(api).explain(examples(latent)))


def test_the_api_is_asked_once_and_its_answer_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret-key")
    with Endpoint(FEATURE) as server:
        assert ask(server, tmp_path).name == "email addresses"
        assert ask(server, tmp_path).sentence == "email addresses."
        (request,) = server.requests
        assert request.path == f"/api/feature/{SAE}/7"
        assert request.headers["x-api-key"] == "secret-key"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["7.json"]
    assert "secret-key" not in files[0].read_text()
    files[0].write_text("broken")
    with Endpoint(FEATURE) as server:
        assert ask(server, tmp_path).name == "email addresses"
        assert len(server.requests) == 1


@pytest.mark.parametrize("first", [Reply({}, 500), Reply({}, 429, {"Retry-After": "0"}), DROP])
def test_temporary_failures_of_the_api_are_tried_again(tmp_path: Path, first: Reply) -> None:
    with Endpoint(first, FEATURE) as server:
        assert ask(server, tmp_path).name == "email addresses"
    with Endpoint(first) as server:
        with pytest.raises(ExplanationError, match=f"Neuronpedia, {SAE}/8"):
            ask(server, tmp_path, latent=8)
        assert len(server.requests) == 3
    assert not list(tmp_path.rglob("8.json"))


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply({}, 404), "HTTP 404, it has no such latent"),
        (Reply({}, 401), KEY_VARIABLE),
        (Reply({}, 302, {"Location": "http://127.0.0.1:9/"}), "HTTP 302"),
        (Reply({"explanations": []}), "no explanation of"),
        (Reply("<html>down</html>"), "not valid"),
        (Reply([1]), "not valid"),
        (Reply({}, 429, {"Retry-After": "3600"}), "HTTP 429"),
    ],
)
def test_other_failures_of_the_api(tmp_path: Path, reply: Reply, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret-key")
    with Endpoint(reply) as server:
        with pytest.raises(ExplanationError) as caught:
            ask(server, tmp_path)
        assert message in str(caught.value)
        assert "secret-key" not in f"{caught.value!r} {caught.value.raw}"
        assert len(server.requests) == 1
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("bad", ["", "gemma", "../x/y", "a/b/c", "a/..", "a b/c"])
def test_an_id_that_is_none(bad: str) -> None:
    with pytest.raises(SaeError, match="no Neuronpedia id"):
        NeuronpediaApi(bad)
