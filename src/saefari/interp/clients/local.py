"""A causal language model of transformers in this process, on its own thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from saefari.errors import ModelError
from saefari.interp.clients.chat_prompt import STOP, readable_prompts
from saefari.interp.clients.client import Answer, AnswerToken, Request
from saefari.interp.clients.request_queue import Outcome, RequestQueue
from saefari.interp.clients.sampling import RowSampler, stop_rows
from saefari.models.batching import Batches
from saefari.models.identity import model_settings
from saefari.models.pretrained import load_tokenizer, pick_device, pick_dtype, read_weights
from saefari.models.registry import describe, is_causal, read_config, resolve_model, text_config

_TOKENS_ON_CPU, _TOKENS_ON_GPU = 4096, 32_768
"""Tokens per batch, of prompts and answers."""


class LocalModel:
    """A model by folder or hub id; the weights are loaded with the first request.

    Answers do not depend on the other requests of a batch, apart from rounding: sampling has a seed per request.
    Raises ModelError for a model that does not exist or is no decoder.
    """

    def __init__(self, name: str, revision: str | None = None, *, dtype: str = "auto", device: str = "auto") -> None:
        self._info = describe(name, revision)
        self._config = read_config(name, revision)
        if not is_causal(self._config):
            raise ModelError(f"model {name!r} ({self._config.model_type}) is no causal language model")
        self._device = pick_device(device)
        self._dtype = pick_dtype(dtype, self._device)
        self._batches = Batches(_TOKENS_ON_CPU if self._device.type == "cpu" else _TOKENS_ON_GPU)
        self._queue = RequestQueue(self._answer_all)
        self._loaded: tuple[Any, Any] | None = None
        self.model = self._info.slug if self._info.source == "local" else name
        self.settings: Mapping[str, Any] = {"kind": "local", **model_settings(name, revision, dtype, device)}

    async def complete(self, request: Request) -> Answer:
        """Answer one request, in a batch with others that wait. Raises ClientError."""
        return await self._queue.complete(request)

    def load(self) -> tuple[Any, Any]:
        """Load model and tokenizer, once. Raises ModelError for a checkpoint without a language-modelling head."""
        if self._loaded is None:
            from transformers import AutoModelForCausalLM

            location, _ = resolve_model(self._info.name, self._info.revision)
            tokenizer = load_tokenizer(self._info, location)
            model, missing = read_weights(AutoModelForCausalLM, self._info, location, self._dtype)
            if missing:
                raise ModelError(f"model {self._info.name!r}: its files hold no language-modelling head ({missing[0]})")
            self._loaded = model.to(self._device).eval().requires_grad_(False), tokenizer
        return self._loaded

    def _answer_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answer requests in batches; one that cannot be answered gets its own error."""
        _, tokenizer = self.load()
        limit = getattr(text_config(self._config), "max_position_embeddings", None)
        prompts, outcomes = readable_prompts(tokenizer, requests, limit)
        places = list(prompts)
        lengths = np.array([len(prompts[place]) + requests[place].max_tokens for place in places], dtype=np.int64)

        def work(batch: np.ndarray) -> list[Answer]:
            chosen = [places[i] for i in batch]
            return self._generate([requests[i] for i in chosen], [prompts[i] for i in chosen])

        for batch, answers in self._batches.run(lengths, work) if places else ():
            for i, answer in zip(batch, answers, strict=True):
                outcomes[places[i]] = answer
        return outcomes

    @torch.no_grad()
    def _generate(self, requests: Sequence[Request], prompts: Sequence[list[int]]) -> list[Answer]:
        """Answer one batch, padded on the left."""
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        make_config: Any = GenerationConfig  # untyped
        model, tokenizer = self.load()
        width = max(len(ids) for ids in prompts)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=self._device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self._device)
        ends = model.generation_config.eos_token_id
        ends = ends if ends is not None else tokenizer.eos_token_id
        sampler = RowSampler(requests)
        written = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=make_config(
                max_new_tokens=max(request.max_tokens for request in requests),
                do_sample=False,
                num_beams=1,
                repetition_penalty=1.0,
                use_cache=True,
                eos_token_id=ends,
                pad_token_id=pad,
            ),
            logits_processor=LogitsProcessorList([sampler]),
            stopping_criteria=StoppingCriteriaList([stop_rows(requests, width, self._marks_end(tokenizer))]),
        )
        stops = {ends} if isinstance(ends, int) else set(ends or ())
        rows = written[:, width:].tolist()
        return [
            self._answer(tokenizer, request, len(prompt), _until(row[: request.max_tokens], stops), sampler, place)
            for place, (request, prompt, row) in enumerate(zip(requests, prompts, rows, strict=True))
        ]

    def _marks_end(self, tokenizer: Any) -> Any:
        """Return whether the last tokens begin the next question; never, with a chat template."""
        if tokenizer.chat_template:
            return lambda ids: False
        return lambda ids: STOP in tokenizer.decode(ids[-2 * len(STOP) :])

    def _answer(
        self, tokenizer: Any, request: Request, n_prompt: int, ids: list[int], sampler: RowSampler, place: int
    ) -> Answer:
        text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        tokens = None
        if request.top_logprobs:
            steps = zip(ids, sampler.steps_of(place), strict=False)
            tokens = tuple(
                AnswerToken(
                    tokenizer.decode([token]), logprob, {tokenizer.decode([i]): value for i, value in reversed(top)}
                )
                for token, (logprob, top) in steps
            )
        text = text if tokenizer.chat_template else text.partition(STOP)[0]
        return Answer(text.strip(), n_prompt, len(ids), tokens)


def _token(tokenizer: Any, token: int, logprob: float, top: list[tuple[int, float]]) -> AnswerToken:
    alternatives = {tokenizer.decode([other]): value for other, value in reversed(top)}
    return AnswerToken(tokenizer.decode([token]), logprob, alternatives)


def _until(ids: list[int], ends: set[int]) -> list[int]:
    """Return the ids before the first one that ends an answer."""
    return ids[: next((place for place, token in enumerate(ids) if token in ends), len(ids))]
