"""The prompt of a request as text, for models in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saefari.interp.clients.client import ClientError, ImagePart, Request

STOP = "\nUser:"
"""Where the answer of a model without a chat template ends: it goes on with the next question."""
_ROLES = {"system": "", "user": "User: ", "assistant": "Assistant: "}


def readable_prompts(
    tokenizer: Any, requests: Sequence[Request], limit: int | None
) -> tuple[dict[int, list[int]], list[Any]]:
    """Return (place -> token ids of each request that can be answered, outcomes): None, or the error of the others."""
    prompts: dict[int, list[int]] = {}
    outcomes: list[Any] = [None] * len(requests)
    for place, request in enumerate(requests):
        try:
            prompts[place] = prompt_ids(tokenizer, request, limit)
        except ClientError as error:
            outcomes[place] = error
    return prompts, outcomes


def prompt_ids(tokenizer: Any, request: Request, limit: int | None) -> list[int]:
    """Return the token ids of a prompt, with the tokenizer's chat template if it has one.

    Raises ClientError for images, and if prompt and answer together may exceed `limit` tokens.
    """
    messages = chat_messages(request)
    if tokenizer.chat_template:
        ids = tokenizer(chat_text(tokenizer, messages), add_special_tokens=False)["input_ids"]
    else:
        ids = tokenizer(plain_text(messages))["input_ids"]
    if limit is not None and len(ids) + request.max_tokens > limit:
        raise ClientError(
            f"a prompt of {len(ids):,} tokens and an answer of up to {request.max_tokens:,} are more than the "
            f"{limit:,} that the model reads; lower explain.client.max_tokens, or the number or length of the contexts"
        )
    return list(ids)


def chat_messages(request: Request) -> list[dict[str, str]]:
    """Return the messages as role and content. Raises ClientError for images."""
    if any(isinstance(part, ImagePart) for message in request.messages for part in message.parts):
        raise ClientError("explain.client.kind: models in this process read no images here; use kind: openai")
    return [{"role": one.role, "content": "".join(str(part) for part in one.parts)} for one in request.messages]


def chat_text(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """Write messages with the tokenizer's chat template; if it has no system role, put that text into the question."""
    from jinja2.exceptions import TemplateError

    try:
        return _templated(tokenizer, messages)
    except TemplateError:
        if len(messages) < 2 or messages[0]["role"] != "system":
            raise
        system, question, *others = messages
        joined = {"role": question["role"], "content": f"{system['content']}\n\n{question['content']}"}
        return _templated(tokenizer, [joined, *others])


def plain_text(messages: list[dict[str, str]]) -> str:
    """Write messages as a dialogue, for a model without a chat template."""
    return "\n\n".join(_ROLES[one["role"]] + one["content"] for one in messages) + "\n\nAssistant:"


def _templated(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
