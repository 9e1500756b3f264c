"""A run that asks a language model: an endpoint on real sockets, failures, reuse, and the key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari.pipeline.commands.cli import FAILED, OK, main
from tests.interp.endpoint import Endpoint, Received, Reply, answer, error
from tests.pipeline.explain.conftest import LATENTS, latent_files, record_of, sae_folder, write_config

KEY = "sk-never-to-be-seen-4711"
NAME = {"name": "the word river", "explanation": "The word river and what is near it."}
ASKING = LATENTS | {
    "latents": {"used_by_classifiers": 4},
    "explainers": ["prompted", "lexical"],
    "scorers": ["detection"],
    "controls": ["shuffled"],
}


def replies(request: Received) -> Reply:
    """Answer every question: an explanation, or a list of alternating judgements."""
    text = json.dumps(request.body["messages"])
    wanted = re.findall(r"JSON list of (\d+) values", text)
    return answer(json.dumps([i % 2 for i in range(int(wanted[-1]))]) if wanted else json.dumps(NAME))


@pytest.fixture
def asking(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """asking(url, **more): the folder of a run whose explanations ask the endpoint; more: keys of `explain`."""
    monkeypatch.setenv("TEST_KEY", KEY)

    def set_up(url: str, **more: Any) -> Path:
        client = {"base_url": url, "model": "test-model", "key_variable": "TEST_KEY", "attempts": 1, "timeout": 20}
        client |= {"price_in": 1.0, "price_out": 2.0}
        raw = yaml.safe_load((copy / "conf.yaml").read_text())
        raw["explain"] = ASKING | {"client": client} | more
        write_config(copy, raw)
        return copy

    return set_up


def explain(root: Path) -> int:
    return main(["explain", "--config", str(root / "conf.yaml")])


def test_names_of_the_model_come_first_and_nothing_is_asked_twice(asking: Callable[..., Path]) -> None:
    with Endpoint(replies) as server:
        root = asking(server.url)
        assert explain(root) == OK
        n_requests = len(server.requests)
        files = latent_files(root)
        explained = [one for one in files.values() if one["provenance"]["inputs"] == record_of(root)["inputs"]]
        assert len(explained) > 3
        for one in explained:
            assert (one["name"], one["explainer"], one["model"]) == (NAME["name"], "prompted", "test-model")
            assert [other["explainer"] for other in one["alternatives"]] == ["lexical"]
            assert set(one["scores"]) == {"detection"}
        usage = record_of(root)["usage"]
        assert usage["requests"] == n_requests
        assert usage["cost"] == pytest.approx(n_requests * (20 * 1.0 + 5 * 2.0) / 1e6)
        assert explain(root) == OK
        (sae_folder(root) / "explanations.json").unlink()
        for latent in files:
            (sae_folder(root) / f"{latent}.json").unlink()
        assert explain(root) == OK
        assert len(server.requests) == n_requests


def test_the_lexical_name_serves_where_the_model_fails_and_only_failures_are_repeated(
    asking: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def bad(request: Received) -> Reply:
        reply = replies(request)
        return answer("I would rather not say.") if "river" in str(reply.body) else reply

    with Endpoint(bad) as server:
        root = asking(server.url)
        assert explain(root) == FAILED
        printed = capsys.readouterr().out
        assert "explain prompted" in printed
        failures = record_of(root)["failures"]
        assert {one["step"] for one in failures} == {"explain prompted"}
        assert all(one["raw"] == "I would rather not say." for one in failures)
        names = {one["explainer"] for one in latent_files(root).values()}
        assert names == {"lexical"}
        first = len(server.requests)
        server.script[:] = [replies]
        assert explain(root) == OK
        assert record_of(root)["failures"] == []
        repeated = [one for one in server.requests[first:] if "JSON list of" not in json.dumps(one.body["messages"])]
        assert len(repeated) == len(failures)


def test_without_credit_nothing_more_is_sent_and_what_is_done_is_kept(
    asking: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with Endpoint(error(402, "Insufficient credits")) as server:
        root = asking(server.url)
        assert explain(root) == FAILED
        assert len(server.requests) < 10
    assert "Insufficient credits" in capsys.readouterr().out
    assert {one["explainer"] for one in latent_files(root).values()} == {"lexical"}


def test_the_key_is_in_no_file_and_no_output(
    asking: Callable[..., Path], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def quoting(request: Received) -> Reply:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        return error(400, f"the key {KEY} is fine, the request is not")

    with Endpoint(quoting) as server:
        root = asking(server.url)
        assert explain(root) == FAILED
    shown = capsys.readouterr()
    assert "***" in shown.out
    assert KEY not in shown.out + shown.err + caplog.text
    assert not [path for path in root.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_missing_key_is_an_error_before_any_work(
    asking: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Endpoint(replies) as server:
        root = asking(server.url)
        monkeypatch.delenv("TEST_KEY")
        assert explain(root) == 2
        assert "explain.client.key_variable: environment variable TEST_KEY is not set" in capsys.readouterr().err
        assert main(["explain", "--config", str(root / "conf.yaml"), "--dry-run"]) == OK
        assert server.requests == []
    assert re.search(r"at most [\d,]+ requests, about [\d,]+ prompt tokens .* \$\d", capsys.readouterr().out)


def test_the_estimate_is_close_to_what_is_sent(asking: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(replies) as server:
        root = asking(server.url)
        latents = sorted(latent_files(root))
        raw = yaml.safe_load((root / "conf.yaml").read_text())
        raw["explain"] |= {"latents": latents, "explainers": ["prompted"]}
        write_config(root, raw)
        assert main(["explain", "--config", str(root / "conf.yaml"), "--dry-run"]) == OK
        (estimated,) = re.findall(r"at most ([\d,]+) requests", capsys.readouterr().out)
        assert explain(root) == OK
        # equal questions are asked once: the shuffled explanations of this server are all the same
        assert len(server.requests) <= int(estimated.replace(",", "")) <= 2 * len(server.requests)
