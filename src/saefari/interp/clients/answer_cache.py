"""Answers on disk, so that no request is paid for twice: one file per request, `<2 hex>/<fingerprint>.json`.

Only answers that could be used are stored. A file that is damaged or of another format counts as absent.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.fingerprint import fingerprint
from saefari.interp.clients.client import Answer, AnswerToken, Backend, ImagePart, Message, Request
from saefari.store.files import read_json, write_json

FORMAT = 1
_LEAST_LOGPROB = -9999.0
"""In place of minus infinity, which JSON does not have."""


def request_fingerprint(backend: Backend, request: Request) -> str:
    """Return the SHA-256 (hex) of everything that shapes an answer: model, its settings, and the request.

    Images count by their own SHA-256. The prompt's version needs no place: another prompt has other messages.
    """
    return fingerprint(
        {
            "format": FORMAT,
            "model": backend.model,
            "settings": dict(backend.settings),
            "messages": [_message_record(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_logprobs": request.top_logprobs,
            "seed": request.seed,
        }
    )


class AnswerCache:
    """A folder of answers. Several clients may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, key: str) -> Answer | None:
        """Return the answer stored under a fingerprint, or None."""
        try:
            record = read_json(self._path(key))
        except StoreError:
            return None
        return _answer(record)

    def write(self, key: str, answer: Answer) -> None:
        """Store an answer atomically. Raises StoreError if the disk is full or not writable."""
        record = asdict(answer)
        if answer.tokens is not None:
            record["tokens"] = [
                [token.text, _finite(token.logprob), {text: _finite(value) for text, value in token.top.items()}]
                for token in answer.tokens
            ]
        write_json(self._path(key), {"format": FORMAT, "answer": record})

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _message_record(message: Message) -> list[Any]:
    parts = [
        {"image": hashlib.sha256(part.data).hexdigest()} if isinstance(part, ImagePart) else part
        for part in message.parts
    ]
    return [message.role, parts]


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else _LEAST_LOGPROB


def _answer(record: Any) -> Answer | None:
    """Return the answer in a file's content; None if anything in it is missing or has another type."""
    try:
        if record["format"] != FORMAT:
            return None
        stored = record["answer"]
        tokens = stored["tokens"]
        cost = stored["cost"]
        return Answer(
            text=_text(stored["text"]),
            prompt_tokens=int(stored["prompt_tokens"]),
            answer_tokens=int(stored["answer_tokens"]),
            tokens=None if tokens is None else tuple(_token(*token) for token in tokens),
            cost=None if cost is None else float(cost),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _token(text: str, logprob: float, top: dict[str, float]) -> AnswerToken:
    return AnswerToken(_text(text), float(logprob), {_text(other): float(value) for other, value in top.items()})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
