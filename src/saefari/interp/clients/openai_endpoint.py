"""Any endpoint with the OpenAI protocol: OpenAI, OpenRouter, a vLLM server, Ollama, llama.cpp.

Redirects are not followed, so the key reaches no other host. Errors are raised outside the handlers and frames of the
SDK's errors and responses, which hold the request with its key.
"""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from saefari.interp.clients.client import Answer, AnswerToken, ClientError, ImagePart, Message, Part, Request
from saefari.interp.clients.cost import estimated_prompt_tokens, estimated_tokens
from saefari.interp.clients.endpoint_errors import error_of_sdk, error_of_status
from saefari.interp.clients.key import Key
from saefari.log import logger

_PNG = b"\x89PNG"
_OPTIONAL = ("temperature", "seed")
"""Parameters that some models refuse; the request is then sent without them."""
_REFUSALS = ("unsupported", "not support", "unknown", "unrecognized", "unexpected", "not permitted", "not allowed")


class OpenAIEndpoint:
    """A model behind an endpoint. key: sent to the host of `base_url`, and to no other."""

    def __init__(self, model: str, base_url: str, key: Key) -> None:
        import openai  # noqa: F401  (slow, so not within the time-out of the first request)

        self.model = model
        self.settings: Mapping[str, Any] = {"kind": "openai", "base_url": base_url}
        self._base_url = base_url
        self._key = key
        self._place = f"{model} at {urlsplit(base_url).netloc}"
        self._length = "max_tokens"
        self._omitted: set[str] = set()
        self._sdk: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def complete(self, request: Request) -> Answer:
        """Send a request once; again at once only without a parameter that the model refuses."""
        while True:
            arguments = self._arguments(request)
            outcome = await self._outcome(arguments, request)
            if isinstance(outcome, Answer):
                return outcome
            if not self._adapts(outcome, arguments):
                raise outcome

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        if self._sdk is not None and self._loop is asyncio.get_running_loop():
            await self._sdk.close()
            self._sdk = None

    def _client(self) -> Any:
        """Return the SDK's client for the running event loop; time-outs and retries are the caller's."""
        import openai

        loop = asyncio.get_running_loop()
        if self._sdk is None or self._loop is not loop:
            self._loop = loop
            self._sdk = openai.AsyncOpenAI(
                api_key=self._key.reveal(),
                base_url=self._base_url,
                max_retries=0,
                timeout=None,
                http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, timeout=None),
            )
        return self._sdk

    async def _outcome(self, arguments: dict[str, Any], request: Request) -> Answer | ClientError:
        """Send a request; return its answer or its error."""
        try:
            response = await self._client().chat.completions.create(**arguments)
        except Exception as error:
            return error_of_sdk(error, self._place, self._key)
        return self._answer(response, request)

    def _arguments(self, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": self.model,
            "messages": [_message(message) for message in request.messages],
            self._length: request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
        }
        if request.top_logprobs:
            arguments |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        return {name: value for name, value in arguments.items() if name not in self._omitted}

    def _adapts(self, failure: ClientError, sent: Mapping[str, Any]) -> bool:
        """Whether the server refused a parameter that can be renamed or left out; do so from now on."""
        text = str(failure).lower()
        if failure.is_temporary or failure.is_final:
            return False
        if "max_tokens" in sent and "max_completion_tokens" in text:
            self._length = "max_completion_tokens"
            return True
        for name in _OPTIONAL:
            if name in sent and name in text and any(word in text for word in _REFUSALS):
                if name not in self._omitted:
                    logger.warning("%s refuses the parameter %s: it is left out", self._place, name)
                self._omitted.add(name)
                return True
        return False

    def _answer(self, response: Any, request: Request) -> Answer | ClientError:
        """Read a chat completion; servers also send errors with status 200, and pages that are none."""
        choices = getattr(response, "choices", None)
        if not choices:
            return self._error_inside(response)
        choice, usage = choices[0], getattr(response, "usage", None)
        problem = getattr(choice, "error", None)
        if isinstance(problem, dict):
            return self._error_inside(choice)
        text = self._key.remove(_text(choice.message)).encode("utf-8", "replace").decode()  # no unpaired surrogates
        cost = getattr(usage, "cost", None)
        return Answer(
            text=text,
            prompt_tokens=_count(usage, "prompt_tokens", estimated_prompt_tokens(request)),
            answer_tokens=_count(usage, "completion_tokens", estimated_tokens(text)),
            tokens=_tokens(choice),
            cost=float(cost) if isinstance(cost, int | float) and math.isfinite(cost) and cost >= 0 else None,
        )

    def _error_inside(self, response: Any) -> ClientError:
        error = getattr(response, "error", None)
        if not isinstance(error, dict):
            message = f"{self._place}: the answer is no chat completion; check explain.client.base_url"
            return ClientError(message, is_temporary=True)
        code = error.get("code")
        status = code if isinstance(code, int) and 300 <= code < 600 else 502
        return error_of_status(status, str(error.get("message")), self._place, self._key, str(code))


def _message(message: Message) -> dict[str, Any]:
    """Return a message as the protocol writes it: text alone as a string, which every server reads."""
    if all(isinstance(part, str) for part in message.parts):
        return {"role": message.role, "content": "".join(str(part) for part in message.parts)}
    return {"role": message.role, "content": [_part(part) for part in message.parts]}


def _part(part: Part) -> dict[str, Any]:
    if not isinstance(part, ImagePart):
        return {"type": "text", "text": part}
    kind = "png" if part.data.startswith(_PNG) else "jpeg"
    url = f"data:image/{kind};base64,{base64.b64encode(part.data).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _text(message: Any) -> str:
    """Return the text of an answer, or of a refusal; empty if there is none."""
    content = getattr(message, "content", None)
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        content = "".join(part for part in parts if isinstance(part, str))
    return content or getattr(message, "refusal", None) or ""


def _tokens(choice: Any) -> tuple[AnswerToken, ...] | None:
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    if not content:
        return None
    return tuple(
        AnswerToken(one.token, one.logprob, {other.token: other.logprob for other in reversed(one.top_logprobs or ())})
        for one in content
    )


def _count(usage: Any, name: str, estimate: int) -> int:
    """Return a number of tokens that the server reports, else an estimate."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value >= 0 else estimate
