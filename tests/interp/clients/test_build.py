"""A client from the configuration: checks before work, and what it is made of."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from saefari.config import Settings
from saefari.config.explanation import Client as ClientSection
from saefari.errors import ConfigError
from saefari.interp.clients.build import build_client, check_client
from saefari.interp.clients.client import Message, Request
from saefari.interp.clients.cost import Prices, StepEstimate, estimate_cost, most_prompt_tokens
from saefari.interp.clients.vllm import is_installed
from tests.interp.endpoint import MODEL, Endpoint, answer

HELLO = Request((Message.of("user", "hello"),))


def section(url: str = "https://example.org/v1", **options: Any) -> ClientSection:
    return ClientSection.model_validate({"model": MODEL, "base_url": url, "key_variable": None, **options})


def test_an_endpoint_from_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "abc")
    with Endpoint(answer("hi")) as server:
        built = section(
            server.url, key_variable="MY_KEY", price_in=1.0, price_out=2.0, max_cost=3.0, concurrency=9, timeout=4.0
        )
        client = build_client(built, tmp_path, Settings())
        assert asyncio.run(client.ask(HELLO, lambda answer: answer.text)) == "hi"
        again = build_client(built, tmp_path, Settings())
        assert asyncio.run(again.ask(HELLO, lambda answer: answer.text)) == "hi"
    assert len(server.requests) == 1
    assert server.requests[0].headers["authorization"] == "Bearer abc"
    assert client.usage.cost == pytest.approx(20e-6 + 2 * 5e-6)
    assert (client.concurrency, client.timeout, client.vision) == (9, 4.0, True)


def test_a_local_model_from_the_configuration(save_tiny: Callable[..., Path], tmp_path: Path) -> None:
    local = ClientSection.model_validate({"kind": "local", "model": str(save_tiny("llama"))})
    client = build_client(local, tmp_path, Settings(device="cpu", dtype="bfloat16"))
    assert client.backend.settings["dtype"] == "bfloat16"
    assert (client.vision, client.timeout) == (False, None)


def test_checks_come_before_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match=re.escape("explain.client.key_variable: environment variable MY_KEY is not")):
        check_client(section(key_variable="MY_KEY"))
    local = ClientSection.model_validate({"kind": "local", "model": "a/b"})
    check_client(local)
    with pytest.raises(ConfigError, match=re.escape("explain.client.kind: local sends no images")):
        check_client(local, needs_vision=True)


@pytest.mark.skipif(is_installed(), reason="vLLM is installed")
def test_vllm_is_an_extra() -> None:
    with pytest.raises(ConfigError, match=re.escape("pip install 'saefari[vllm]'")):
        check_client(ClientSection.model_validate({"kind": "vllm", "model": "a/b"}))


@pytest.mark.parametrize("url", ["https://me:secret@host/v1", "https://host/v1?key=secret", "https://host/v1#secret"])
def test_an_address_holds_no_key(url: str) -> None:
    with pytest.raises(ValidationError, match="base_url must hold no user, password or query"):
        section(url)


def test_a_key_sent_in_the_open_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", "abc")
    build_client(section("http://example.org/v1", key_variable="MY_KEY"), tmp_path, Settings())
    assert "the key is sent to example.org without encryption" in caplog.text
    caplog.clear()
    build_client(section("http://localhost:8000/v1", key_variable="MY_KEY"), tmp_path, Settings())
    assert caplog.text == ""


def test_the_cost_of_a_run_is_estimated_from_examples() -> None:
    def question(n_bytes: int) -> Request:
        return Request((Message.of("user", "x" * n_bytes),))

    steps = [
        StepEstimate("explain prompted", 10, [question(3500)], 100),
        StepEstimate("score detection", 40, [question(700), question(1400)], 50),
    ]
    estimate = estimate_cost(steps, Prices(1.0, 10.0))
    assert (estimate.requests, estimate.answer_tokens) == (50, 3000)
    assert estimate.prompt_tokens == 10 * (1000 + 16) + 40 * (300 + 16)
    assert estimate.cost == pytest.approx((estimate.prompt_tokens + 3000 * 10) / 1e6)
    assert str(estimate) == "50 requests, about 22,800 prompt tokens and 3,000 answer tokens, about $0.05"
    assert "cost unknown (give price_in and price_out)" in str(estimate_cost(steps, None))


def test_a_bound_on_tokens_holds_for_any_text() -> None:
    assert most_prompt_tokens(Request((Message.of("user", "🦁"),))) >= 4
