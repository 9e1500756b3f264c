"""A local model: the same answers and log-probabilities as a plain loop over full forward passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from saefari.errors import ModelError
from saefari.interp.clients.ask import Client
from saefari.interp.clients.chat_prompt import chat_text, plain_text
from saefari.interp.clients.client import Answer, ClientError, ImagePart, Message, Request
from saefari.interp.clients.local import LocalModel
from saefari.interp.clients.sampling import stop_rows
from tests.conftest import config_of, random_weights, tokenizer_of

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}it {% endif %}"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    saved: dict[tuple[str, bool], Path] = {}

    def save(kind: str, chat: bool) -> Path:
        if (kind, chat) not in saved:
            folder = tmp_path_factory.mktemp("models") / f"{kind}-{chat}"
            model = random_weights(transformers.AutoModelForCausalLM.from_config(config_of(kind)))
            model.generation_config = transformers.GenerationConfig(eos_token_id=2, repetition_penalty=5.0)
            model.save_pretrained(folder)
            tokenizer = tokenizer_of(kind)
            tokenizer.chat_template = TEMPLATE if chat else None
            tokenizer.save_pretrained(folder)
            saved[kind, chat] = folder
        return saved[kind, chat]

    return save


def request(text: str, **options: Any) -> Request:
    return Request((Message.of("user", text),), **{"max_tokens": 12, **options})


TEXTS = ["the cat sat on the mat", "a dog", "it was big it was big under the tree on the river"]


def complete(model: LocalModel, requests: list[Request]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*map(model.complete, requests), return_exceptions=True)

    return asyncio.run(all_of_them())


@torch.no_grad()
def reference(folder: Path, one: Request, chat: bool) -> tuple[str, list[float]]:
    """Greedy decoding by a full forward pass per token, without cache, padding and batch."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": str(one.messages[0].parts[0])}]
    text = chat_text(tokenizer, messages) if chat else plain_text(messages)
    ids = tokenizer(text, add_special_tokens=not chat)["input_ids"]
    written, logprobs = [], []
    while len(written) < one.max_tokens:
        scores = model(torch.tensor([ids + written])).logits[0, -1].log_softmax(-1)
        token = int(scores.argmax())
        if token == 2:
            break
        written.append(token)
        logprobs.append(float(scores[token]))
    return tokenizer.decode(written, skip_special_tokens=True), logprobs


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3", "gemma2"])
@pytest.mark.parametrize("chat", [True, False])
def test_greedy_answers_equal_a_plain_loop(folders: Callable[..., Path], kind: str, chat: bool) -> None:
    folder = folders(kind, chat)
    requests = [request(text, top_logprobs=3, max_tokens=12 - i) for i, text in enumerate(TEXTS)]
    answers = complete(LocalModel(str(folder), device="cpu"), requests)
    for one, answer in zip(requests, answers, strict=True):
        text, logprobs = reference(folder, one, chat)
        assert answer.text == text.strip()
        assert answer.answer_tokens == len(logprobs)
        assert [token.logprob for token in answer.tokens] == pytest.approx(logprobs, abs=1e-4)
        assert all(max(token.top.values()) == pytest.approx(token.logprob) for token in answer.tokens)


def test_a_sample_depends_on_its_seed_only(folders: Callable[..., Path]) -> None:
    model = LocalModel(str(folders("llama", True)), device="cpu")
    requests = [request(TEXTS[0], temperature=1.0, seed=seed) for seed in range(6)]
    together = [answer.text for answer in complete(model, requests)]
    alone = [complete(model, [one])[0].text for one in requests]
    assert together == alone
    assert len(set(together)) > 3


def test_samples_follow_the_model_s_probabilities(folders: Callable[..., Path]) -> None:
    folder = folders("llama", True)
    n, temperature = 2000, 0.2
    model = LocalModel(str(folder), device="cpu")
    requests = [
        request("a dog", temperature=temperature, seed=seed, max_tokens=1, top_logprobs=40) for seed in range(n)
    ]
    answers = complete(model, requests)
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(chat_text(tokenizer, [{"role": "user", "content": "a dog"}]), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        expected = (plain(torch.tensor([ids])).logits[0, -1] / temperature).softmax(-1)
    words = [tokenizer.decode([i]) for i in range(19)]
    counts = {word: sum(bool(a.tokens) and a.tokens[0].text == word for a in answers) / n for word in words}
    for i, word in enumerate(words):
        if i != 2:  # the end of a text
            p = float(expected[i])
            assert counts[word] == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5)


def test_other_work_goes_on_meanwhile(folders: Callable[..., Path]) -> None:
    model = LocalModel(str(folders("llama", True)), device="cpu")
    threads: set[str] = set()
    generate = model._generate
    model._generate = lambda *args: threads.add(threading.current_thread().name) or generate(*args)  # type: ignore[method-assign]
    complete(model, [request(TEXTS[0])])
    assert threads
    assert "MainThread" not in threads


def test_requests_that_cannot_be_answered_fail_alone(folders: Callable[..., Path]) -> None:
    model = LocalModel(str(folders("llama", True)), device="cpu")
    picture = Request((Message("user", ("what?", ImagePart(b"\x89PNG"))),), max_tokens=5)
    long, image, good = complete(model, [request("a " * 60), picture, request("a dog")])
    assert isinstance(long, ClientError)
    assert "a prompt of 62 tokens and an answer of up to 12 are more than the 64 that the model reads" in str(long)
    assert "read no images" in str(image)
    assert isinstance(good, Answer)


def test_only_decoders_write(save_tiny: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="is no causal language model"):
        LocalModel(str(save_tiny("bert")))


def test_a_checkpoint_without_a_head_is_named(save_tiny: Callable[..., Path]) -> None:
    client = Client(LocalModel(str(save_tiny("llama")), device="cpu"))
    with pytest.raises(ClientError, match="hold no language-modelling head"):
        asyncio.run(client.ask(request("a"), lambda answer: answer))
    assert client.stopped is not None


def test_settings_hold_no_path(folders: Callable[..., Path]) -> None:
    model = LocalModel(str(folders("llama", True)), device="cpu")
    assert str(folders("llama", True).parent) not in str((model.model, model.settings))
    assert set(model.settings) >= {"kind", "name", "weights", "dtype", "transformers"}


class _NoSystem:
    """A tokenizer whose template knows no system role, as that of Gemma 2."""

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> str:
        from jinja2.exceptions import TemplateError

        if messages[0]["role"] == "system":
            raise TemplateError("System role not supported")
        return "|".join(f"{one['role']}: {one['content']}" for one in messages)


def test_a_template_without_a_system_role_gets_it_in_the_question() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    assert chat_text(_NoSystem(), messages) == "user: Be brief.\n\nWhy?"


def test_a_plain_answer_ends_where_the_next_question_begins() -> None:
    stop = stop_rows([request("a", max_tokens=9)] * 2, 3, lambda row: 7 in row.tolist())
    assert stop(torch.tensor([[7, 7, 7, 1, 2], [7, 7, 7, 1, 7]]), torch.empty(0)).tolist() == [False, True]
