"""Requests to language models and their answers; the protocol of a backend, which sends one request once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from saefari.errors import SaefariError


class ClientError(SaefariError):
    """A request failed.

    retry_after: seconds that the server asked to wait, if it did. is_temporary: the same request may succeed later
    (429, 5xx, time-out, dropped connection). is_final: no further request can succeed (invalid key, no credit).
    may_cost: the server may have computed an answer, and charge for it, although none arrived.
    """

    def __init__(
        self,
        message: str,
        *,
        is_temporary: bool = False,
        is_final: bool = False,
        may_cost: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary
        self.is_final = is_final
        self.may_cost = may_cost
        self.retry_after = retry_after


@dataclass(frozen=True)
class ImagePart:
    """An image inside a message: PNG or JPEG bytes."""

    data: bytes


Part = str | ImagePart


@dataclass(frozen=True)
class Message:
    """One message of a chat. parts: text, and images for vision-capable models."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Literal["system", "user", "assistant"], text: str) -> Message:
        """Return a message that is text only."""
        return cls(role, (text,))


@dataclass(frozen=True)
class Request:
    """One request. top_logprobs: alternatives per answer token whose log-probabilities are wanted; 0: none."""

    messages: tuple[Message, ...]
    max_tokens: int = 500
    temperature: float = 0.0
    top_logprobs: int = 0
    seed: int = 0


@dataclass(frozen=True)
class AnswerToken:
    """One token of an answer. logprob: natural logarithm of its probability. top: alternatives -> log-probability.

    Of alternatives with the same text, `top` holds the most probable one.
    """

    text: str
    logprob: float
    top: Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """Answer to one request.

    tokens: None if the backend gives no log-probabilities. cost: in dollars, if the endpoint reports it.
    """

    text: str
    prompt_tokens: int
    answer_tokens: int
    tokens: tuple[AnswerToken, ...] | None = None
    cost: float | None = None


class Backend(Protocol):
    """A language model. model: its name. settings: what shapes its answers, JSON-able, without any key."""

    model: str
    settings: Mapping[str, Any]

    async def complete(self, request: Request) -> Answer:
        """Send one request once. Raises ClientError."""
        ...
