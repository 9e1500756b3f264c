"""vLLM in this process: an optional package (`saefari[vllm]`) for machines with GPUs."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from saefari.errors import ModelError
from saefari.interp.clients.chat_prompt import STOP, readable_prompts
from saefari.interp.clients.client import Answer, AnswerToken, Request
from saefari.interp.clients.request_queue import Outcome, RequestQueue
from saefari.models.identity import model_settings
from saefari.models.registry import describe, resolve_model


def is_installed() -> bool:
    """Whether the package vllm is there."""
    return importlib.util.find_spec("vllm") is not None


class VLLMModel:
    """A model by folder or hub id, run by vLLM, which forms the batches itself; loaded with the first request.

    Raises ModelError if vLLM is not installed or the model does not exist.
    """

    def __init__(self, name: str, revision: str | None = None, *, dtype: str = "auto") -> None:
        if not is_installed():
            raise ModelError("kind: vllm needs the package vllm, which is not installed: pip install 'saefari[vllm]'")
        self._info = describe(name, revision)
        self._dtype = dtype
        self._queue = RequestQueue(self._answer_all)
        self._engine: Any = None
        self.model = self._info.slug if self._info.source == "local" else name
        self.settings: Mapping[str, Any] = {"kind": "vllm", **model_settings(name, revision, dtype, "auto")}

    async def complete(self, request: Request) -> Answer:
        """Answer one request, together with others that wait. Raises ClientError."""
        return await self._queue.complete(request)

    def _load(self) -> Any:
        if self._engine is None:
            from vllm import LLM

            location, _ = resolve_model(self._info.name, self._info.revision)
            self._engine = LLM(model=location, revision=self._info.revision, dtype=self._dtype, trust_remote_code=False)
        return self._engine

    def _answer_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """Give vLLM all requests at once; one that it cannot read gets its own error."""
        engine = self._load()
        tokenizer = engine.get_tokenizer()
        limit = engine.llm_engine.model_config.max_model_len
        prompts, outcomes = readable_prompts(tokenizer, requests, limit)
        written = engine.generate(
            [{"prompt_token_ids": ids} for ids in prompts.values()],
            [_sampling(requests[place], is_chat=bool(tokenizer.chat_template)) for place in prompts],
            use_tqdm=False,
        )
        for place, output in zip(prompts, written, strict=True):
            outcomes[place] = _answer(output, requests[place])
        return outcomes


def _sampling(request: Request, is_chat: bool) -> Any:
    from vllm import SamplingParams

    return SamplingParams(
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        seed=request.seed,
        logprobs=request.top_logprobs or None,
        stop=None if is_chat else [STOP],
    )


def _answer(output: Any, request: Request) -> Answer:
    """Read a RequestOutput of vLLM; its log-probabilities are one dict {token id: Logprob} per token."""
    completion = output.outputs[0]
    tokens = None
    if request.top_logprobs and completion.logprobs is not None:
        tokens = tuple(
            _token(token, step) for token, step in zip(completion.token_ids, completion.logprobs, strict=True)
        )
    return Answer(completion.text.strip(), len(output.prompt_token_ids), len(completion.token_ids), tokens)


def _token(token: int, step: Mapping[int, Any]) -> AnswerToken:
    """step: the most probable tokens, and the chosen one, which may be none of them."""
    alternatives = sorted(step.values(), key=lambda one: one.logprob)
    top = {one.decoded_token or "": float(one.logprob) for one in alternatives}
    return AnswerToken(step[token].decoded_token or "", float(step[token].logprob), top)
